import ArgumentParser
import Core
import Repository
import ServerSettings

/// `bcfg2-info builddir`.
struct BuildDir: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "builddir", abstract: "Build config for hostname, writing separate files to directory.",
    discussion: """
      Files, folders and links are written; entries of other types are left out. Owner and group are set only by root, and \
      nothing outside of the directory is changed. Setuid and setgid bits are not set and devices are not made, unless \
      --privileged is there: the directory may be one that others can reach. A new directory is for its owner alone.

      Exit status: 0, or 1 if the configuration could not be built or something could not be written.
      """)
  static let completions: [Completion] = [.client, .file, .none]

  @Argument(help: ArgumentHelp(valueName: "hostname"))
  var host: String

  @Argument(help: "It is made if it is not there.")
  var directory: String

  @Flag(help: "Set setuid and setgid bits, and make devices.")
  var privileged = false

  @ArgumentParser.OptionGroup var common: InfoArguments

  private struct Written: Encodable {
    let name: String
    let type: String
    let problem: String?
  }

  func prepare(_ files: OutputFiles) throws { try files.makeFolder(directory) }

  func run(_ context: InfoContext) async throws -> Int32 {
    if context.isInteractive { try prepare(context.files) }
    let document = try await context.core.buildConfiguration(try context.client(host))
    guard document.tag != "error" else { throw InfoProblem("Building client configuration failed.") }
    let entries = document.children.flatMap { $0.children(tagged: "Path") }
    var results: [Written] = []
    var isGood = true
    func tell(_ entry: Element, _ problem: String?, isFailure: Bool = false) {
      results.append(Written(name: entry.name ?? "None", type: entry["type"] ?? "None", problem: problem))
      if isFailure { isGood = false }
      if let problem, !common.json { context.print(VisibleText.escaped(problem)) }
    }
    func tell(_ entry: Element, _ result: Result<String?, any Error>) {
      let name = "Path:\(entry.name ?? "None")"
      switch result {
      case .success(let rest): tell(entry, rest.map { "\(name) \($0)" })
      case .failure(let error): tell(entry, "Failed to install entry \(name): \(error)", isFailure: true)
      }
    }
    let installer = try EntryInstaller(directory, keepsPrivileges: privileged)
    var folders: [Element] = []
    // Links come last: nothing is written through them.
    for type in EntryInstaller.types {
      for entry in entries where entry["failure"] == nil && entry["type"] == type {
        do {
          let rest = try installer.install(entry)
          if type == "directory" { folders.append(entry) } else { tell(entry, .success(rest)) }
        } catch {
          tell(entry, .failure(error))
        }
      }
    }
    for (entry, result) in installer.finish(folders) { tell(entry, result) }
    for entry in entries {
      if let failure = entry["failure"] {
        tell(entry, "Skipping entry Path:\(entry.name ?? "None") with bind failure: \(failure)")
      } else if let type = entry["type"], !EntryInstaller.types.contains(type),
        !["nonexistent", "permissions"].contains(type)
      {
        tell(entry, "Skipping entry Path:\(entry.name ?? "None") of type \(type)")
      }
    }
    if common.json { try context.printJSON(results) }
    return isGood ? 0 : InfoStatus.failed
  }
}
