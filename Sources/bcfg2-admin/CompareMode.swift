import Administration
import ArgumentParser
import Commands
import Glibc
import ServerSettings

/// `bcfg2-admin compare`.
struct CompareMode: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "compare", abstract: "Compare two hosts or two versions of a host specification.",
    discussion: """
      Given two XML files (as of bcfg2-info build or bcfg2 -qnc) or two folders of them (as of bcfg2-info buildall), prints what \
      differs. Two files without an option: a list of entries, as 1.3 prints it. With an option, or two folders: how they \
      differ, as 1.4 prints it, with equal differences of several hosts together.
      """)

  @ArgumentParser.Option(
    name: [.customShort("d"), .customLong("diff-lines")],
    help: ArgumentHelp("Show only N lines of a diff.", valueName: "N"))
  var diffLines: Int?

  @Flag(name: [.customShort("c"), .customLong("color")], help: "Use colors even if not run from a TTY.")
  var color = false

  @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Only show that entries differ, not how they differ.")
  var quiet = false

  @Flag(name: .customShort("r"), help: ArgumentHelp("Compare folders, which is seen without it.", visibility: .hidden))
  var recursive = false

  @Flag(help: "Print JSON.") var json = false
  @Argument(help: ArgumentHelp("The old configuration.", valueName: "file-or-dir")) var path1: String
  @Argument(help: ArgumentHelp("The new configuration.", valueName: "file-or-dir")) var path2: String
  @ArgumentParser.OptionGroup var common: CompareShared

  func validate() throws {
    if let diffLines, diffLines < 0 { throw ValidationError("--diff-lines: not a number of lines: \(diffLines)") }
  }

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    do {
      try compare(try ComparedFiles(path1, path2))
    } catch let problem as ComparedFiles.Problem {
      throw AdminProblem("\(problem)")
    }
    return 0
  }

  @MainActor private func compare(_ files: ComparedFiles) throws {
    var report = ComparisonReport()
    let isList = !files.areFolders && diffLines == nil && !color && !quiet && !json
    for host in files.removed { report.add([.init(kind: .removed, text: host)], of: nil) }
    for host in files.added { report.add([.init(kind: .added, text: host)], of: nil) }
    let progress = Progress("Comparing", of: files.pairs.count)
    for (number, pair) in files.pairs.enumerated() {
      progress.show(number)
      let comparison = ConfigurationComparison(
        old: try ComparedFiles.read(pair.old), new: try ComparedFiles.read(pair.new), isQuiet: quiet,
        diffLines: diffLines)
      if isList {
        Output.print(comparison.summary())
      } else {
        report.add(comparison.findings(), of: pair.host)
      }
    }
    progress.end()
    if json {
      try Output.printJSON(report.differences)
    } else if !isList {
      let isColored = color || Output.mayHaveColours()
      Output.print(report.lines(namesHosts: files.pairs.count > 1, isColored: isColored))
    }
  }
}

/// The options before the mode, behind it: `-d` is the mode's own.
struct CompareShared: ModeArguments {
  @ArgumentParser.OptionGroup var configuration: ConfigurationArguments
  @ArgumentParser.OptionGroup var repository: RepositoryArguments
  @ArgumentParser.OptionGroup var log: LogFileArguments

  func adding(to options: CommandLineOptions) -> CommandLineOptions {
    log.adding(to: repository.adding(to: configuration.adding(to: options)))
  }
}
