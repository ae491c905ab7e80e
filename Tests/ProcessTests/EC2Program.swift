import Formats
import Support

/// EC2 on loopback: `Tests/Python/ec2.py`, which checks signatures. It ends with this object.
final class EC2Program {
  let port: Int
  let metadataPort: Int
  let authority: String
  private let program = PythonProgram("ec2.py")

  init() throws {
    let begin = try JSONValue(json: program.line())
    guard case .integer(let port)? = begin["port"], case .integer(let metadataPort)? = begin["metadata"],
      case .string(let authority)? = begin["ca"]
    else { throw FixtureProblem(description: "ec2.py does not say where it is") }
    (self.port, self.metadataPort, self.authority) = (port, metadataPort, authority)
  }

  struct FixtureProblem: Error, CustomStringConvertible { let description: String }

  /// Has a command done; see the script. The words are the members behind `do`, as JSON.
  @discardableResult
  func order(_ what: String, _ members: String = "") throws -> JSONValue {
    try JSONValue(json: program.order("{\"do\": \"\(what)\"\(members.isEmpty ? "" : ", ")\(members)}"))
  }

  /// An instance with tags whose names and values need no escapes.
  func instance(_ host: String, _ tags: [(String, String)]) throws {
    let pairs = tags.map { "[\"\($0.0)\", \"\($0.1)\"]" }.joined(separator: ", ")
    try order("tags", "\"host\": \"\(host)\", \"tags\": [\(pairs)]")
  }

  func fail(_ status: Int, _ code: String, times: Int, message: String = "why") throws {
    try order("fail", "\"status\": \(status), \"code\": \"\(code)\", \"message\": \"\(message)\", \"times\": \(times)")
  }

  /// Which hosts were asked for since the last call.
  func requests() throws -> (hosts: [String], most: Int, connections: Int) {
    let answer = try order("requests")
    guard case .array(let hosts)? = answer["hosts"], case .integer(let most)? = answer["most"],
      case .integer(let connections)? = answer["connections"]
    else { throw FixtureProblem(description: "no requests") }
    return (hosts.compactMap { if case .string(let host) = $0 { host } else { nil } }, most, connections)
  }

  /// The lines of `[awstags]` for it.
  var options: [String] {
    [
      "access_key_id = AKIDEXAMPLE", "secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
      "endpoint = https://localhost:\(port)", "ca = \(authority)", "timeout = 60",
    ]
  }
}
