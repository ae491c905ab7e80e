@testable import Formats
@testable import Plugins
@testable import ServerSettings
@testable import XMLRPC

/// Reads the bytes as the output of a probe, as both versions do: no trap, no line is lost, and the data names a group only
/// where the whole line is kept.
func fuzzProbeOutput(_ bytes: [UInt8]) {
  let text = String(decoding: bytes, as: UTF8.self)
  for compatibility in [Compatibility.v1_4, .v1_3] {
    var groups: [String] = []
    let output = ProbeOutput(text, compatibility: compatibility) { groups.append($0) }
    let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    precondition(output.lineCount == lines.count && output.groupCount == groups.count, "lines are counted otherwise")
    let rest = lines.filter { line in
      var names = 0
      _ = ProbeOutput(String(Substring(line)), compatibility: compatibility) { _ in names += 1 }
      return names == 0
    }
    let expected = rest.joined(separator: "\n".utf8)
    precondition(output.data.utf8.elementsEqual(expected), "a line of data is lost")
  }
}
