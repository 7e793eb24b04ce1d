batgw replay -f house.yaml pack.log --after 500ms --json
