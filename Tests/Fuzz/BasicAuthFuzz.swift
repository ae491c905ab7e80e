// Built by scripts/fuzz.sh together with the sources of XMLRPC, hence without an import.

/// Reads the bytes as a header value and as base64: no trap, and only what writing gives back is read strictly.
func fuzz(_ bytes: UnsafeRawBufferPointer) {
  let input = Array(bytes)
  if let auth = BasicAuth.parse(String(decoding: bytes, as: UTF8.self)) {
    let whole = auth.password.isEmpty ? auth.user : auth.user + [UInt8(ascii: ":")] + auth.password
    let again = BasicAuth.parse("Basic " + String(decoding: Base64.encode(whole), as: UTF8.self))
    precondition(again == auth, "credentials read otherwise after writing")
  }
  if let strict = Base64.decodeStrict(input[...]) {
    precondition(Base64.encode(strict) == input && Base64.decode(input) == strict)
  }
  if let decoded = Base64.decode(input) { precondition(decoded.count <= input.count / 4 * 3 + 2) }
  precondition(Base64.decode(Base64.encode(input)) == input)
  precondition(Base64.decode(Base64.encodeLines(input)) == input)
}
