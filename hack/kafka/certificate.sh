# The certificate of the listeners with TLS: made here, good for this machine and for pods, vouched for by itself.
# Sourced by ./kafka.

keystore=$home/tls/broker.p12
keystore_password=only-for-tests
certificate=$home/tls/broker.pem
names=dns:localhost,ip:127.0.0.1,ip:$cluster_ip

# make_certificate makes it, unless there is one for these names.
make_certificate() {
  [[ -e $certificate && $(cat "$home/tls/names" 2>/dev/null) == "$names" ]] && return
  mkdir -p "$home/tls"
  rm -f "$keystore"
  certificate_tool -genkeypair -alias broker -keyalg EC -groupname secp256r1 -dname CN=localhost \
    -ext "san=$names" -ext bc:critical=ca:true -validity 3650 -storetype PKCS12 &&
    certificate_tool -exportcert -alias broker -rfc >"$certificate.new" && mv "$certificate.new" "$certificate" &&
    echo "$names" >"$home/tls/names" ||
    die "could not make a certificate; see $home/tls/keytool.log"
}

certificate_tool() {
  "${JAVA_HOME:+$JAVA_HOME/bin/}keytool" "$@" -keystore "$keystore" -storepass "$keystore_password" 2>"$home/tls/keytool.log"
}
