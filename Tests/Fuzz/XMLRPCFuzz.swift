// Built by scripts/fuzz.sh together with the sources of XMLRPC, hence without an import.

/// Decodes the bytes as call and as response: no trap, and what was read is the same after writing and reading again.
/// Escapes the bytes in every context: what they give inside an element is well-formed if they are text.
func fuzz(_ bytes: UnsafeRawBufferPointer) {
  let input = Array(bytes)
  var limits = HTTPLimits()
  limits.xmlDepth = 16
  limits.callValues = 64
  limits.xmlTextBytes = 256
  limits.xmlAttributeBytes = 32
  limits.xmlAttributeCount = 4
  limits.xmlNameBytes = 32
  if let call = try? MethodCall.decode(input, limits: limits), !holdsNaN(.array(call.params)) {
    let again = try? MethodCall.decode(call.encode().bytes())
    precondition(again == call, "a call reads otherwise after writing")
  }
  if let result = try? MethodResponse.decode(input, limits: limits) {
    switch result {
    case .success(let value):
      let again = try? MethodResponse.decode(MethodResponse.encode(value).bytes())
      precondition(again == result || holdsNaN(value) || value.holdsBigInteger, "a value reads otherwise after writing")
    case .failure(let fault):
      let again = try? MethodResponse.decode(MethodResponse.encode(fault: fault).bytes())
      precondition(again == result, "a fault reads otherwise after writing")
    }
  }
  fuzzEscapes(input)
}

private func fuzzEscapes(_ input: [UInt8]) {
  let isText = XMLCharacters.firstFlaw(in: input) == nil
  for encoding in [XMLEscape.Encoding.utf8, .ascii] {
    let once = XMLEscape.escaped(input, as: .text, encoding: encoding)
    let twice = XMLEscape.escaped(input, as: .nestedText, encoding: encoding)
    precondition(twice == XMLEscape.escaped(once, as: .text, encoding: encoding), "nested text")
    let value = XMLEscape.escaped(input, as: .attribute, encoding: encoding)
    let nested = XMLEscape.escaped(input, as: .nestedAttribute, encoding: encoding)
    precondition(nested == XMLEscape.escaped(value, as: .text, encoding: encoding), "nested attribute")
    guard isText, !input.isEmpty, input.count <= 4096 else { continue }
    var reader = try? XMLReader(Array("<a b=\"".utf8) + value + Array("\">".utf8) + once + Array("</a>".utf8))
    let text = String(decoding: input, as: UTF8.self)
    let attributes = [XMLReader.Attribute(name: "b", value: text)]
    precondition((try? reader?.next()) == .start(name: "a", attributes: attributes), "an attribute reads otherwise")
    precondition((try? reader?.next()) == .text(input), "a text reads otherwise")
  }
}

private func holdsNaN(_ value: Value) -> Bool {
  switch value {
  case .double(let number): number.isNaN
  case .array(let elements): elements.contains(where: holdsNaN)
  case .structure(let members): members.contains { holdsNaN($0.value) }
  default: false
  }
}
