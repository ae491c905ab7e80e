import EventLoop
import Identity
import XMLRPC

/// Validates and quotes values for files of other programs, at every write, even if they were checked before.
package enum ForeignGrammar {
  /// Whether ssh's known hosts can hold a host: a name or an address. `*`, `?`, `!` and `,` would make it a pattern,
  /// `@` a marker, `#` a comment, `|` a digest. A recorded name may end with a dot.
  package static func isKnownHost(_ text: String) -> Bool {
    SocketAddress(host: text, port: 0) != nil || (try? ClientName(HostNames.withoutFinalDot(text))) != nil
  }

  /// Quotes a value for openssl's configuration.
  ///
  /// - Throws: `PluginExecutionError` for characters that no line can hold.
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

  /// Checks a DNS name for a certificate: letters, digits, `.`, `-`, `_`, `:`, and `*` in front. Removes a final dot,
  /// since certificates are compared without it.
  ///
  /// - Throws: `PluginExecutionError` for other characters.
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

  /// Checks the name of a host or host group in Nagios.
  ///
  /// - Throws: `PluginExecutionError` for characters with a meaning in Nagios.
  package static func nagiosName(_ text: String) throws -> String {
    let illegal = "`~!$%^&*|'\"<>?,()=;{}".utf8
    guard !text.isEmpty, !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F || illegal.contains($0) }) else {
      throw PluginExecutionError("\(text) cannot be a name in Nagios")
    }
    return text
  }

  /// Checks the value of a Nagios option.
  ///
  /// - Throws: `PluginExecutionError` for more than one line.
  package static func nagiosValue(_ text: String, of option: String) throws -> String {
    guard !text.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) else {
      throw PluginExecutionError("\(option) has a line feed or another control character, which Nagios cannot read")
    }
    return text
  }
}
