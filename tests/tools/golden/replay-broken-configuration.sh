printf "battery: {protocol: byd-atto}\n" >broken.yaml; batgw replay -f broken.yaml pack.log; status=$?; rm broken.yaml; (exit $status)
