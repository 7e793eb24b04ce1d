batgw replay -f house.yaml --battery can5 --inverter can1 pack.log
