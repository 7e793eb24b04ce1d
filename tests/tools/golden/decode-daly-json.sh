batgw decode daly-uart --json daly.log | head -4
