import Core
import Plugins
import ServerSettings
import XMLRPC

/// Sends settings to a child: the texts of the files and the command line, which the child parses with the same code.
///
/// It sends texts because the parent may have read the files as root, and because the child must use the parent's
/// version even if the file on disk is a newer, broken one.
enum ChildSettings {
  static func encode(_ settings: Settings, _ commandLine: CommandLineOptions) -> Value {
    [
      "path": .string(settings.configurationFile),
      "files": .structure(settings.files.texts.map { Value.Member($0.key, .bytes($0.value)) }),
      "typed": .array(
        commandLine.values.map { place, value in
          [.string(place.section), .string(place.option), .string(value.text), .string(value.option)]
        }),
    ]
  }

  /// - Throws: `SettingsError`; `ParameterError` for a malformed value.
  static func decode(_ value: Value) throws -> Settings {
    guard let path = value["path"]?.string, let files = value["files"]?.members, let typed = value["typed"]?.array
    else {
      throw ParameterError("no settings")
    }
    var commandLine = CommandLineOptions()
    commandLine.configurationFile = path
    for item in typed {
      let texts = (item.array ?? []).compactMap(\.string)
      guard texts.count == 4 else { throw ParameterError("no settings") }
      commandLine.set(texts[0], texts[1], to: texts[2], typed: texts[3])
    }
    var texts: [String: [UInt8]] = [:]
    for file in files { texts[file.name] = file.value.contents }
    return try Settings.load(
      commandLine, registry: PluginRegistry.standard.settings, files: ConfigurationFiles(texts: texts),
      environment: { _ in nil })
  }
}
