batgw replay -f loud.yaml pack.log || batgw replay -f no-such.yaml pack.log
