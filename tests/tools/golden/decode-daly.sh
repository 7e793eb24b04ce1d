batgw decode daly-uart daly.log
