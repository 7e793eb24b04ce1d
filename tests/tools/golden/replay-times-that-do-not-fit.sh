batgw replay -f house.yaml hvs.log pack.log
