import Core
import EventLoop
import Formats
import Glibc
import Identity
import Logging
import Repository
import ServerSettings
import XMLRPC

/// Taking a client's own version of a file into the repository (`bcfg2-admin pull`).
extension CfgEntrySet {
  /// The file that the client gets now, and one for the client alone.
  ///
  /// - Throws: also where contents are to be stored and those of now are encrypted: they would be there in plain text.
  func acceptChoices(_ entry: Element, _ metadata: ClientMetadata) throws -> [String] {
    guard let best = generator(for: metadata) else {
      let message = "No base file found for \(name)"
      plugin.logger.error("\(message)")
      throw PluginExecutionError(message)
    }
    if entry.text != nil, isEncrypted(best) {
      let error = Self.encrypted(best.path)
      plugin.logger.error("\(error)")
      throw error
    }
    let host = Specificity.host(Name(metadata.hostname.text))
    let choices = best.specificity == host ? [host] : [best.specificity, host]
    return try choices.map { try CfgCreator.createdPath(in: path, $0, handlers: plugin.rules.handlers) }
  }

  /// Writes contents, where the entry has some, and permissions, where it has some, as info.xml.
  func write(_ entry: Element, to file: String) async throws {
    guard RepositoryPath.folder(of: file) == path else {
      throw PluginExecutionError("Cfg: \(file) is not a file of \(name)")
    }
    do {
      if let text = entry.text { try await writeContents(entry, text, file) }
      if ["owner", "group", "mode"].contains(where: { entry[$0] != nil }) { try await writeInfo(entry) }
    } catch let error as PluginExecutionError {
      plugin.logger.error("\(error)")
      throw error
    }
  }

  private func writeContents(_ entry: Element, _ text: String, _ file: String) async throws {
    if fileExists("\(file).crypt") { throw Self.encrypted("\(file).crypt") }
    for kind in ["genshi", "cheetah", "jinja2"] where fileExists("\(file).\(kind)") {
      throw PluginExecutionError("Cfg: Unable to pull data for \(kind) types")
    }
    let bytes: [UInt8]
    if entry["encoding"] == "base64" {
      guard let decoded = Base64.decode(Array(text.utf8)) else {
        throw PluginExecutionError("Cfg: Cannot decode content of \(file)")
      }
      bytes = decoded
    } else {
      do throws(TextEncodingError) {
        bytes = try plugin.encoding.encode(Array(text.utf8))
      } catch {
        throw PluginExecutionError("Cfg: Cannot encode content of \(file) as \(plugin.core.settings.encoding)")
      }
    }
    try await plugin.core.storePulled(
      bytes, to: file, mode: FileWrite.Mode(ofClient: entry["mode"]), limitBytes: plugin.limitBytes)
    plugin.debugLog("Wrote file \(file)")
  }

  private func isEncrypted(_ file: CfgGenerator) -> Bool {
    let base = RepositoryPath.name(of: path)
    switch CfgFileName(RepositoryPath.name(of: file.path), base: base, handlers: plugin.rules.handlers) {
    case .encrypted, .template(_, _, isEncrypted: true): return true
    default: return false
    }
  }

  private static func encrypted(_ path: String) -> PluginExecutionError {
    PluginExecutionError("Cfg: \(path) is encrypted: the client's version is not stored beside it in plain text")
  }

  private func writeInfo(_ entry: Element) async throws {
    if plugin.core.settings.compatibility == .v1_3 {
      for old in ["info", ":info"] where fileExists("\(path)/\(old)") {
        plugin.logger.info("Removing \(path)/\(old) and replacing with info.xml")
        guard unlink("\(path)/\(old)") == 0 else {
          throw SystemError(call: "unlink", errno: errno, detail: "\(path)/\(old)")
        }
      }
    }
    let info = Element("Info")
    plugin.core.settings.pathDefaults.apply(to: info)
    for name in ["owner", "group", "mode"] { if let value = entry[name] { info[name] = value } }
    var text = "<FileInfo>\n  <Info"
    for (name, value) in info.attributes { text += " \(name)=\"\(Self.escaped(value))\"" }
    text += "/>\n</FileInfo>\n"
    try await plugin.core.storePulled(
      Array(text.utf8), to: "\(path)/info.xml", mode: .ordinary, limitBytes: plugin.limitBytes)
    plugin.debugLog("Wrote file \(path)/info.xml")
  }

  private static func escaped(_ value: String) -> String {
    String(decoding: XMLEscape.escaped(value, as: .attribute), as: UTF8.self)
  }
}
