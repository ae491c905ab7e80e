@testable import Core
@testable import Formats
@testable import Identity
@testable import Plugins
@testable import Repository
@testable import XMLRPC

/// Reads the bytes as a client's probe data, keeps them as Probes does and reads them back: no trap, and probed.xml
/// says what the client said.
func fuzzProbeData(_ bytes: [UInt8]) {
  guard let document = try? ClientDocument.parse(bytes) else { return }
  var probes: [String: String] = [:]
  for item in document.children {
    if let name = item.name { probes[name] = item.text ?? "" }
  }
  let groups = probes.values.flatMap {
    $0.utf8.split(separator: UInt8(ascii: "\n")).prefix(4).map { String(Substring($0)) }
  }
  let report = ProbeReport(timestamp: "1", probes: probes.map { (name: $0.key, text: $0.value) }, groups: groups)
  var file = Array("<Probed>\n".utf8)
  report.append(to: &file, client: ClientName(unchecked: document.tag))
  file += "</Probed>\n".utf8
  do {
    let clients = try ProbedFile.parse(file).children
    precondition(clients.count == 1 && clients[0].name == document.tag, "the client reads otherwise")
    let again = ProbeReport(clients[0])
    precondition(again.body == report.body && again.groups == report.groups, "the report reads otherwise")
  } catch {
    preconditionFailure("probed.xml is not read: \(error)")
  }
  let data = ProbeDataSet(timestamp: "1", body: report.body)
  precondition(data.probes.count == probes.count, "a probe is missing")
  for (name, text) in probes {
    precondition(data[name]?.text.utf8.elementsEqual(text.utf8) == true, "an output reads otherwise")
    _ = data[name]?.xml
  }
}
