batgw layout --dbc byd-hvs
