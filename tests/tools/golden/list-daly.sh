batgw list daly-uart
