import ArgumentParser
import Core
import Plugins
import Repository

/// `bcfg2-info build`.
struct Build: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "build", abstract: "Build config for hostname, writing to filename.")
  static let completions: [Completion] = [.client, .file, .none]

  @Argument(help: ArgumentHelp(valueName: "hostname"))
  var host: String

  @Argument(help: ArgumentHelp("Standard output without it.", valueName: "filename"))
  var file: String?

  @ArgumentParser.OptionGroup var common: InfoArguments

  func prepare(_ files: OutputFiles) throws { if let file { try files.open(file) } }

  func run(_ context: InfoContext) async throws -> Int32 {
    let document = try await context.core.buildConfiguration(try context.client(host))
    if common.json, file == nil {
      try context.printJSON(ElementJSON(document))
    } else {
      let bytes =
        common.json
        ? Array((try ElementJSON(document).document + "\n").utf8) : PrettyXML.document(document)
      if let file {
        try context.files.write(bytes, to: file)
      } else {
        context.printText(String(decoding: bytes, as: UTF8.self))
      }
    }
    return document.tag == "error" ? InfoStatus.failed : 0
  }
}

/// `bcfg2-info buildfile`.
struct BuildFile: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "buildfile", abstract: "Build config file for hostname.")
  static let completions: [Completion] = [.path, .client, .none]
  static let optionCompletions: [String: Completion] = ["-f": .file, "--outfile": .file, "--altsrc": .path]

  @ArgumentParser.Option(
    name: [.customShort("f"), .long], help: ArgumentHelp("Standard output without it.", valueName: "path"))
  var outfile: String?

  @ArgumentParser.Option(help: ArgumentHelp("The name under which the repository has the entry.", valueName: "path"))
  var altsrc: String?

  @Argument(help: ArgumentHelp("The name of the Path entry.", valueName: "filename"))
  var path: String

  @Argument(help: ArgumentHelp(valueName: "hostname"))
  var host: String

  @ArgumentParser.OptionGroup var common: InfoArguments

  func prepare(_ files: OutputFiles) throws { if let outfile { try files.open(outfile) } }

  func run(_ context: InfoContext) async throws -> Int32 {
    let entry = try await PathEntry.bound(path, altsrc: altsrc, host, context)
    let text = common.json ? try ElementJSON(entry).document : PrettyXML.line(entry)
    if let outfile {
      try context.files.write(Array((text + "\n").utf8), to: outfile)
    } else {
      context.print(text)
    }
    return 0
  }
}

/// A Path entry of one client.
enum PathEntry {
  /// - Throws: what the generator throws, after a line on standard output as Bcfg2 has it.
  @MainActor static func bound(
    _ path: String, altsrc: String?, _ host: String, _ context: InfoContext
  ) async throws -> Element {
    let entry = Element("Path", ["name": path])
    if let altsrc { entry["altsrc"] = altsrc }
    let metadata = try await context.metadata(host)
    do {
      try await context.core.bind(entry, metadata)
    } catch {
      throw InfoProblem("Failed to build entry \(path) for host \(host): \(error)")
    }
    return entry
  }
}

/// `bcfg2-info buildbundle`.
struct BuildBundle: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "buildbundle", abstract: "Render a templated bundle for hostname.")
  static let completions: [Completion] = [.bundle, .client, .none]

  @Argument(help: "The bundle's name, or that of its file.")
  var bundle: String

  @Argument(help: ArgumentHelp(valueName: "hostname"))
  var host: String

  @ArgumentParser.OptionGroup var common: InfoArguments

  func run(_ context: InfoContext) async throws -> Int32 {
    guard let bundler = context.core.plugins(of: BundlerPlugin.self).first else {
      throw InfoProblem("Bundler plugin not enabled")
    }
    let metadata = try await context.metadata(host)
    let found: Element?
    do {
      found = try await bundler.matched(bundle, metadata)
    } catch {
      throw InfoProblem("Failed to render bundle \(bundle) for host \(host): \(error)")
    }
    guard let found else { throw InfoProblem("No such bundle \(bundle)") }
    if common.json { try context.printJSON(ElementJSON(found)) } else { context.print(PrettyXML.text(found)) }
    return 0
  }
}
