batgw decode byd-atto3 --json <atto3.log
