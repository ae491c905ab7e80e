import Formats
import Glibc

/// Secrets that systemd hands over: the file `bcfg2.SECTION.OPTION` of the folder that `CREDENTIALS_DIRECTORY` names has the value
/// of a secret option, such as `bcfg2.communication.password`, or `bcfg2.encryption.NAME` for a passphrase; for an option that names
/// a file of keys, it is that file.
nonisolated extension Settings {
  private static let credentialMark = "bcfg2."
  private static let credentialLimit = 1000
  /// Options of `[communication]` that name files with keys and certificates.
  private static let fileOptions: Set<String> = ["key", "certificate", "ca"]

  /// Reads the credentials. They decide before the configuration file, the command line before them.
  ///
  /// - Throws: for a folder or file that cannot be read, a secret that is no UTF-8, and an option that is not there or no secret.
  mutating func readCredentials(of folder: String, commandLine: CommandLineOptions) throws(SettingsError) {
    let names = try files.names(in: folder, limit: Self.credentialLimit).filter { $0.hasPrefix(Self.credentialMark) }
    for name in names.sorted() {
      let path = "\(folder)/\(name)"
      let parts = name.dropFirst(Self.credentialMark.count).split(
        separator: ".", maxSplits: 1, omittingEmptySubsequences: false
      ).map(String.init)
      let origin = SettingOrigin.file(path: path, line: 1)
      let option = parts.count == 2 ? parts[1].asciiLowercased : ""
      let isFile = parts[0] == "communication" && Self.fileOptions.contains(option)
      guard !option.isEmpty, let definition = registry.definition(parts[0], option),
        definition.kind == .secret || isFile
      else {
        warnings.append(SettingsWarning(origin: origin, text: "there is no secret option of this name, ignored"))
        continue
      }
      let place = SettingDefinition.Place(section: parts[0], option: option)
      guard commandLine.values[place] == nil else { continue }
      if isFile {
        table[place] = Setting(value: .text(path), origin: origin)
        continue
      }
      var bytes = try files.contents(path: path)
      if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw .wrongValue(
          origin: origin, section: parts[0], option: option, value: "...", allowed: "text in UTF-8")
      }
      table[place] = Setting(
        value: .text(text), origin: origin, wildcardName: definition.option == "*" ? parts[1] : nil)
    }
  }
}

nonisolated extension ConfigurationFiles {
  /// The names of a folder's files.
  func names(in folder: String, limit: Int) throws(SettingsError) -> [String] {
    if isSnapshot {
      let start = folder + "/"
      return texts.keys.filter { $0.hasPrefix(start) }.map { String($0.dropFirst(start.count)) }
    }
    guard let stream = opendir(folder) else {
      throw .unreadable(path: folder, reason: String(cString: strerror(errno)))
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream), names.count < limit {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names
  }
}
