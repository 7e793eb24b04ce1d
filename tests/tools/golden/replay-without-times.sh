batgw replay -f house.yaml console.log
