batgw replay -f house.yaml pack.log inverter.log --after 12s | grep -v "send battery"
