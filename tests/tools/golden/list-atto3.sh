batgw list byd-atto3; batgw list byd-atto3 --json
