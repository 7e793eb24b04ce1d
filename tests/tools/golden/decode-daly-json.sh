batgw decode daly-uart --json daly.log | sed -n 1,4p
