import CLinux
import Glibc

/// The environment of this process, for children that get it with changes.
package enum Environment {
  /// Variables by name; what is no `NAME=value` is left out.
  package static var own: [String: String] {
    var variables: [String: String] = [:]
    var next = clinux_environ()
    while let pointer = next, let entry = pointer.pointee {
      let text = String(cString: entry)
      if let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")), equals != text.startIndex {
        variables[String(text[..<equals])] = String(text[text.utf8.index(after: equals)...])
      }
      next = pointer + 1
    }
    return variables
  }
}
