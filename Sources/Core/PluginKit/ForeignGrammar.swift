import EventLoop
import Identity
import XMLRPC

/// What can stand in files of other programs. Checked where such a file is written, whatever was checked before.
package enum ForeignGrammar {
  /// A host in ssh's known hosts: a name or an address. `*`, `?`, `!` and `,` would make a pattern of it, `@` a marker,
  /// `#` a comment, `|` a digest. An administrator may have recorded a name with a final dot.
  package static func isKnownHost(_ text: String) -> Bool {
    SocketAddress(host: text, port: 0) != nil || (try? ClientName(HostNames.withoutFinalDot(text))) != nil
  }

  /// A value of openssl's configuration, written so that openssl reads these very characters.
  ///
  /// - Throws: `PluginExecutionError` for what no line can carry.
  static func opensslValue(_ text: String, of field: String) throws -> String {
    let text = text.trimmingBlanks
    var written = ""
    for scalar in text.unicodeScalars {
      if scalar.value < 0x20 || scalar.value == 0x7F {
        throw PluginExecutionError("\(field) of a certificate cannot have a control character: \(text)")
      }
      // Comment, quotes, escape, variable.
      if "#\"'`\\$".unicodeScalars.contains(scalar) { written += "\\" }
      written.unicodeScalars.append(scalar)
    }
    return written
  }

  /// A name that a certificate is valid for, where the certificate says DNS: letters, digits, `.`, `-`, `_`, `:`, and `*`
  /// in front. A dot behind is left out, as it is where certificates are compared.
  ///
  /// - Throws: `PluginExecutionError` for another one.
  static func certificateHost(_ text: String) throws -> String {
    let text = HostNames.withoutFinalDot(text.trimmingBlanks)
    let rest = text.utf8.starts(with: "*.".utf8) ? String(text.dropFirst(2)) : text
    do throws(ClientNameError) {
      _ = try ClientName(rest)
    } catch {
      throw PluginExecutionError("\(text) cannot be a host's name in a certificate: \(error)")
    }
    return text
  }

  /// The name of an object of Nagios: of a host or a group of hosts.
  ///
  /// - Throws: `PluginExecutionError` where it has characters that Nagios takes for something else.
  package static func nagiosName(_ text: String) throws -> String {
    let illegal = "`~!$%^&*|'\"<>?,()=;{}".utf8
    guard !text.isEmpty, !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F || illegal.contains($0) }) else {
      throw PluginExecutionError("\(text) cannot be a name in Nagios")
    }
    return text
  }

  /// What stands behind the name of an option of Nagios.
  ///
  /// - Throws: `PluginExecutionError` where it would be more than one line.
  package static func nagiosValue(_ text: String, of option: String) throws -> String {
    guard !text.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) else {
      throw PluginExecutionError("\(option) has a line feed or another control character, which Nagios cannot read")
    }
    return text
  }
}
