import ArgumentParser
import Commands
import EventLoop
import PackageFetching
import PackageSources
import Plugins
import ServerSettings

/// `bcfg2-packages resolve`.
struct ResolveCommand: ParsableCommand, ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "resolve", abstract: "Show which packages come with others, for a client of some groups.",
    discussion: """
      Sources count if one of their architectures is among the groups, whatever stands around them in sources.xml. A name may say \
      NAME=true or NAME=false: whether what it recommends comes in. @GROUP or @GROUP:TYPE is a group of packages, @essential the \
      packages that are essential.

      Exit status: 0 if all names are known, 1 otherwise.
      """)

  @ArgumentParser.OptionGroup var common: CommonArguments

  @ArgumentParser.Option(
    help: ArgumentHelp("The client's groups, its architecture among them.", valueName: "group,..."))
  var groups: String

  @ArgumentParser.Option(help: "The resolver, in place of the one that bcfg2.conf names.")
  var solver: SolverChoice?

  @ArgumentParser.Flag(help: "Print a JSON object for each question.")
  var json = false

  @ArgumentParser.Option(
    help: ArgumentHelp(
      "Resolve as often, with nothing kept, and print the seconds that one resolution took.", valueName: "count"))
  var times: Int?

  @ArgumentParser.Argument(
    help: "Names; without any, each line of standard input is a question, its names divided by tabs.")
  var names: [String] = []

  mutating func validate() throws {
    if let times, times < 1 { throw ValidationError("--times must be at least 1.") }
  }

  @MainActor func runTool() throws -> Int32 {
    let settings = try ToolSettings(common)
    let groups = Set(self.groups.split(separator: ",").map(String.init))
    let sources = try settings.sources().map { (source: $0, index: settings.cache.index($0)) }
    if !sources.contains(where: { $0.source.arches.contains(where: groups.contains) }) {
      let known = Set(sources.flatMap(\.source.arches)).sorted().joined(separator: ", ")
      Output.printError(
        "bcfg2-packages: none of the groups is an architecture of a source, which are: \(known.isEmpty ? "none" : known)"
      )
    }
    for (source, index) in sources where index == nil && source.arches.contains(where: groups.contains) {
      Output.printError("bcfg2-packages: \(source.displayName) has no index; bcfg2-packages refresh makes it")
    }
    let collection = PackageCollection(sources, isGroup: groups.contains)
    let choice = solver ?? settings.settings[PackagesOptions.standard.solver]
    let resolver = PackageResolver(collection, choice.solver(settings.settings))
    var isKnown = true
    if names.isEmpty {
      while let line = readLine() {
        let names = line.split(separator: "\t", omittingEmptySubsequences: true).map(String.init)
        isKnown = answer(names, resolver, sources, groups) && isKnown
      }
    } else {
      isKnown = answer(names, resolver, sources, groups)
    }
    return isKnown ? 0 : 1
  }

  /// Prints the answer to one question.
  /// - Returns: whether every name is known.
  private func answer(
    _ names: [String], _ resolver: PackageResolver, _ sources: [(source: PackageSource, index: PackageIndex?)],
    _ groups: Set<String>
  ) -> Bool {
    let question = Question(names, resolver)
    do {
      var resolution = try resolver.complete(question.base, recommended: question.recommended)
      var seconds: Double?
      if let times {
        let begin = MonotonicTime.now()
        for _ in 0..<times {
          // A collection of its own each time, so that nothing is kept.
          let fresh = PackageResolver(PackageCollection(sources, isGroup: groups.contains), resolver.solver)
          resolution = try fresh.complete(question.base, recommended: question.recommended)
        }
        seconds = Double(MonotonicTime.now().nanoseconds - begin.nanoseconds) / 1e9 / Double(times)
      }
      show(resolution, seconds)
      return resolution.unknown.isEmpty
    } catch {
      print(json ? "{\"error\":\"\(error)\"}" : "Bcfg2's resolver fails: \(error)")
      return false
    }
  }

  private func show(_ resolution: Resolution, _ seconds: Double?) {
    if json {
      print(resolution.json(seconds: seconds))
      return
    }
    print(resolution.text, terminator: "")
    if let seconds { print("\(seconds) s") }
  }

  /// What a question asks for.
  private struct Question {
    var base: [[UInt8]] = []
    var recommended: [[UInt8]: Bool] = [:]

    init(_ names: [String], _ resolver: PackageResolver) {
      var base: Set<[UInt8]> = []
      for name in names {
        if name == "@essential" {
          base.formUnion(resolver.essentials())
        } else if name.hasPrefix("@") {
          let parts = name.dropFirst().split(separator: ":", maxSplits: 1)
          let type = parts.count > 1 ? String(parts[1]) : nil
          base.formUnion(resolver.group(Array((parts.first ?? "").utf8), type: type) ?? [])
        } else if let value = [("=true", true), ("=false", false)].first(where: { name.hasSuffix($0.0) }) {
          let package = Array(name.dropLast(value.0.count).utf8)
          recommended[package] = value.1
          base.insert(package)
        } else {
          base.insert(Array(name.utf8))
        }
      }
      self.base = Array(base)
    }
  }
}

extension SolverChoice: ExpressibleByArgument {}
