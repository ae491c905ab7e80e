/// Writes answers as Python's `xmlrpclib.dumps(..., methodresponse=True, allow_none=True)` does, line feeds included.
///
/// Three things differ from Python, each where Python's answer would be refused or changed on the way: integers beyond
/// 32 bits are written as `i8` (Python raises OverflowError, as for those beyond 64 bits), characters that XML forbids become U+FFFD, and a carriage
/// return is written as a reference, because a raw one is read as a line feed.
public enum MethodResponse {
  /// A response with one value. Segments of `.escaped` are shared with the response, not copied. With an integer beyond
  /// 64 bits it is the fault that Python answers.
  public static func encode(_ value: Value) -> ByteSegments {
    if value.holdsBigInteger {
      return encode(fault: .unexpected(type: "OverflowError", message: "long int exceeds XML-RPC limits"))
    }
    var writer = ValueWriter()
    writer.reserveCapacity(160)
    writer.markup("<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n")
    writer.write(value)
    writer.markup("</param>\n</params>\n</methodResponse>\n")
    return writer.finish()
  }

  /// A response with a fault.
  public static func encode(fault: Fault) -> ByteSegments {
    var writer = ValueWriter()
    writer.markup("<?xml version='1.0'?>\n<methodResponse>\n<fault>\n")
    writer.write(["faultCode": .int(Int64(fault.code)), "faultString": .string(fault.string)])
    writer.markup("</fault>\n</methodResponse>\n")
    return writer.finish()
  }
}

extension MethodCall {
  /// The call as Python's `xmlrpclib.dumps(params, method, allow_none=True)` writes it.
  public func encode() -> ByteSegments {
    var writer = ValueWriter()
    writer.markup("<?xml version='1.0'?>\n<methodCall>\n<methodName>")
    writer.write(escaping: method)
    writer.markup("</methodName>\n<params>\n")
    for param in params {
      writer.markup("<param>\n")
      writer.write(param)
      writer.markup("</param>\n")
    }
    writer.markup("</params>\n</methodCall>\n")
    return writer.finish()
  }
}

/// Collects bytes in one segment, interrupted only by segments that are shared.
struct ValueWriter {
  private var segments = ByteSegments()
  private var output: [UInt8] = []

  mutating func finish() -> ByteSegments {
    segments.append(output)
    output = []
    return segments
  }

  mutating func reserveCapacity(_ byteCount: Int) { output.reserveCapacity(byteCount) }

  mutating func markup(_ text: StaticString) {
    output.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  mutating func write(escaping text: String) {
    XMLEscape.append(text, to: &output, as: .text)
  }

  /// Small shared segments are cheaper copied: each costs the transport one more write into its buffer.
  private mutating func write(sharing escaped: ByteSegments) {
    guard escaped.count > 4096 else {
      escaped.forEachSegment { output.append(contentsOf: $0) }
      return
    }
    segments.reserveCapacity(escaped.parts.count + 2)
    segments.append(output)
    output = []
    output.reserveCapacity(96)
    segments.append(contentsOf: escaped)
  }

  mutating func write(_ value: Value) {
    switch value {
    case .nil:
      // Python ends every value with a line feed but this one.
      markup("<value><nil/></value>")
    case .bool(let flag):
      if flag {
        markup("<value><boolean>1</boolean></value>\n")
      } else {
        markup("<value><boolean>0</boolean></value>\n")
      }
    case .int(let number):
      let fits = Int32(exactly: number) != nil
      markup(fits ? "<value><int>" : "<value><i8>")
      output.append(contentsOf: String(number).utf8)
      markup(fits ? "</int></value>\n" : "</i8></value>\n")
    case .bigInteger(let digits):
      markup("<value><biginteger>")
      write(escaping: digits)
      markup("</biginteger></value>\n")
    case .double(let number):
      markup("<value><double>")
      output.append(contentsOf: Self.python(number).utf8)
      markup("</double></value>\n")
    case .string(let text):
      markup("<value><string>")
      write(escaping: text)
      markup("</string></value>\n")
    case .escaped(let segments):
      markup("<value><string>")
      write(sharing: segments)
      markup("</string></value>\n")
    case .bytes(let bytes):
      markup("<value><base64>\n")
      output.append(contentsOf: Base64.encodeLines(bytes))
      markup("</base64></value>\n")
    case .dateTime(let text):
      markup("<value><dateTime.iso8601>")
      write(escaping: text)
      markup("</dateTime.iso8601></value>\n")
    case .array(let elements):
      markup("<value><array><data>\n")
      for element in elements { write(element) }
      markup("</data></array></value>\n")
    case .structure(let members):
      markup("<value><struct>\n")
      for member in members {
        markup("<member>\n<name>")
        write(escaping: member.name)
        markup("</name>\n")
        write(member.value)
        markup("</member>\n")
      }
      markup("</struct></value>\n")
    }
  }

  /// Python's `repr` of a float: shortest digits, an exponent below 1e-4 and from 1e16.
  static func python(_ number: Double) -> String {
    // Swift and Python agree but between 2^53 and 1e16 and in the sign of nan.
    if number.isNaN { return "nan" }
    if abs(number) < 1e16 {
      let whole = Int64(number)
      if whole != 0, Double(whole) == number { return "\(whole).0" }
    }
    return number.description
  }
}
