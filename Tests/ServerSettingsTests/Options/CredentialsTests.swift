import Formats
import Support
import Testing

@testable import ServerSettings

/// Secrets from systemd.
@Suite struct CredentialsTests {
  nonisolated private struct Passphrases: OptionGroup {
    let format = Option("secrets", "format", .text, default: "x", help: "No secret")
    let words = Option("secrets", "*", .secret, help: "A secret, under its name")
  }

  nonisolated private static let options = Passphrases()
  private let folder = TemporaryDirectory()

  private func load(_ commandLine: CommandLineOptions = CommandLineOptions()) throws -> Settings {
    var commandLine = commandLine
    commandLine.configurationFile = folder.write(
      "[server]\nrepository = /r\n[communication]\npassword = of-the-file\n[secrets]\none = 1\n", to: "bcfg2.conf")
    let registry = SettingRegistry(SettingRegistry.server.definitions + Self.options.definitions)
    return try Settings.load(commandLine, registry: registry) {
      $0 == "CREDENTIALS_DIRECTORY" ? folder.file("credentials") : nil
    }
  }

  @Test func theyDecideBeforeTheFile() throws {
    folder.write("of-systemd\n", to: "credentials/bcfg2.communication.password")
    folder.write("2\n\n", to: "credentials/bcfg2.secrets.Two.b")
    folder.write("other", to: "credentials/other")
    let settings = try load()
    #expect(settings.password == "of-systemd" && settings.warnings.isEmpty)
    #expect(settings.named(Self.options.words) == ["one": "1", "Two.b": "2\n"])
    var typed = CommandLineOptions()
    typed.set("communication", "password", to: "typed", typed: "-x")
    #expect(try load(typed).password == "typed")
    // A process without access gets the texts of one that had.
    let registry = SettingRegistry(SettingRegistry.server.definitions + Self.options.definitions)
    var again = CommandLineOptions()
    again.configurationFile = folder.file("bcfg2.conf")
    let files = ConfigurationFiles(texts: settings.files.texts)
    let place = folder.file("credentials")
    folder.remove("credentials/bcfg2.communication.password")
    let child = try Settings.load(again, registry: registry, files: files) { _ in place }
    #expect(child.password == "of-systemd" && child.named(Self.options.words).count == 2)
  }

  @Test func keysAndCertificatesAreTheFilesThemselves() throws {
    for option in ["key", "certificate", "ca"] { folder.write("PEM", to: "credentials/bcfg2.communication.\(option)") }
    let settings = try load()
    let place = folder.file("credentials")
    #expect(settings.key == "\(place)/bcfg2.communication.key")
    #expect(settings.certificate == "\(place)/bcfg2.communication.certificate")
    #expect(settings.certificateAuthority == "\(place)/bcfg2.communication.ca" && settings.warnings.isEmpty)
    var typed = CommandLineOptions()
    typed.set("communication", "key", to: "/typed", typed: "--ssl-key")
    #expect(try load(typed).key == "/typed")
  }

  @Test func whatIsNoSecretIsIgnoredWithAWarning() throws {
    for name in ["bcfg2.secrets.format", "bcfg2.server.repository", "bcfg2.nothing", "bcfg2.secrets."] {
      folder.write("x", to: "credentials/\(name)")
    }
    let settings = try load()
    #expect(settings.repository == "/r" && settings.warnings.count == 4)
    #expect(
      settings.warnings.first?.description
        == "\(folder.file("credentials"))/bcfg2.nothing:1: there is no secret option of this name, ignored")
  }

  @Test func whatCannotBeReadStopsTheStart() throws {
    #expect(throws: SettingsError.self) { _ = try load() }
    folder.write([0xFF], to: "credentials/bcfg2.secrets.x")
    #expect {
      _ = try load()
    } throws: {
      "\($0)".hasSuffix("[secrets] x: wrong value '...'; allowed: text in UTF-8")
    }
  }
}
