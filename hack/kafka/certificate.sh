# The certificate of the SECURE listener: made here, good for this machine, vouched for by itself. Sourced by ./kafka.

keystore=$home/tls/broker.p12
keystore_password=only-for-tests
certificate=$home/tls/broker.pem

# make_certificate makes it, once.
make_certificate() {
  [[ -e $certificate ]] && return
  mkdir -p "$home/tls"
  rm -f "$keystore"
  certificate_tool -genkeypair -alias broker -keyalg EC -groupname secp256r1 -dname CN=localhost \
    -ext san=dns:localhost,ip:127.0.0.1 -ext bc:critical=ca:true -validity 3650 -storetype PKCS12 &&
    certificate_tool -exportcert -alias broker -rfc >"$certificate.new" && mv "$certificate.new" "$certificate" ||
    die "could not make a certificate; see $home/tls/keytool.log"
}

certificate_tool() {
  "${JAVA_HOME:+$JAVA_HOME/bin/}keytool" "$@" -keystore "$keystore" -storepass "$keystore_password" 2>"$home/tls/keytool.log"
}
