batgw decode byd-atto3 --option diagnostic_reply_id=0x788 atto3.log
