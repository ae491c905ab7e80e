import Core
import Plugins

@testable import ServerSettings
@testable import XMLRPC

/// Reads the bytes as bcfg2.conf and types every value: no trap, and an error names the file.
func fuzzConfiguration(_ bytes: [UInt8]) {
  let file: INIFile
  do throws(SettingsError) {
    file = try INIFile(bytes: bytes, path: "fuzz.conf")
  } catch {
    precondition("\(error)".contains("fuzz.conf"), "an error without its file: \(error)")
    return
  }
  for section in file.sections {
    for option in section.order {
      guard let value = try? file.value(section.name, option) else { continue }
      precondition(value.utf8.count <= INIFile.limitBytes + INIFile.valueLimitBytes)
    }
  }
  // Options that name another file to read are left out: the fuzzer would read whatever is there.
  guard file.entry("reporting", "config") == nil, file.entry("server", "repository") == nil else { return }
  let registry = PluginRegistry.standard.settings
  guard let settings = try? Settings(file, registry: registry) else { return }
  for definition in registry.definitions { _ = settings.value(definition.section, definition.option) }
  _ = NetworkLimits(settings)
}
