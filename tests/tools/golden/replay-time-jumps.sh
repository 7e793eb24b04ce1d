batgw replay -f house.yaml atto3.log --no-frames
