import ArgumentParser
import Core
import Plugins
import Repository

/// `bcfg2-info packageresolve`.
struct PackageResolve: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "packageresolve", abstract: "Resolve packages for the given host.",
    discussion: "Without packages: those of the host's bundles.")
  static let completions: [Completion] = [.client, .none]

  @Argument(help: ArgumentHelp(valueName: "hostname"))
  var host: String

  @Argument(help: ArgumentHelp(valueName: "package"))
  var packages: [String] = []

  @ArgumentParser.OptionGroup var common: InfoArguments

  func run(_ context: InfoContext) async throws -> Int32 {
    guard let plugin = context.core.plugins(of: PackagesPlugin.self).first else {
      throw InfoProblem("Packages plugin not enabled")
    }
    let metadata = try await context.metadata(host)
    let structures: [Element]
    if packages.isEmpty {
      structures = try await context.core.getStructures(metadata)
    } else {
      let bundle = Element("Bundle", ["name": "packages"])
      for package in packages { bundle.append("Package", ["name": package]) }
      structures = [bundle]
    }
    let notes = structures.compactMap { plugin.note($0, metadata) }
    let added = try await plugin.addedStructures(notes, metadata).flatMap(\.children)
    if common.json {
      try context.printJSON(added.map { ElementJSON($0) })
      return 0
    }
    context.print("\(added.count) new packages added")
    for entry in added { context.print("    \(PrettyXML.line(entry))") }
    return 0
  }
}

/// `bcfg2-info packagesources`.
struct PackageSources: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "packagesources", abstract: "Show package sources.")
  static let completions: [Completion] = [.client, .none]

  @Argument(help: ArgumentHelp(valueName: "hostname"))
  var host: String

  @ArgumentParser.OptionGroup var common: InfoArguments

  func run(_ context: InfoContext) async throws -> Int32 {
    guard let plugin = context.core.plugins(of: PackagesPlugin.self).first else {
      throw InfoProblem("Packages plugin not enabled")
    }
    let metadata: ClientMetadata
    do {
      metadata = try await context.metadata(host)
    } catch {
      throw InfoProblem("Unable to build metadata for \(host): \(error)")
    }
    let repositories = plugin.repositories(of: metadata)
    if common.json {
      try context.printJSON(repositories)
    } else {
      context.print(repositories.flatMap(\.lines).joined(separator: "\n"))
    }
    return 0
  }
}
