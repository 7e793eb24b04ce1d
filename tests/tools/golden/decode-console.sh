batgw decode byd-atto3 console.log
