import CoreSupport
import EventLoop
import Glibc
import Repository
import ServerSettings
import Support
import XMLRPC

@testable import Core
@testable import Plugins
@testable import Server

/// A repository that random actions change, the core that has lived through them, and cores that read it anew.
///
/// A broken file keeps its last good version, which a new core cannot know. So a new core reads a copy of the repository,
/// as long as there is a broken file, in which each has its last good version; a file that was never good is broken in
/// both. Nothing else depends on what happened before, with exceptions that are left out: groups to which a connector gives
/// a category; priorities that are no numbers; folders of Cfg that have become empty, which are still an entry, though one
/// that fails; and deleted lists of Decisions, which are kept, as by Bcfg2.
final class RandomHistory {
  private static let plugins = [
    "Bundler", "Cfg", "Decisions", "Defaults", "Deps", "GroupLogic", "GroupPatterns", "Metadata", "Ohai",
    "POSIXCompat", "Pkgmgr", "Probes", "Properties", "Rules", "ServiceCompat",
  ]

  private static let registry = PluginRegistry(PluginRegistry.standard.all + [RevisionFile.self, Clock.self])

  private let fixture: RepositoryFixture
  /// What name service knows: a client that clients.xml lacks may add itself. Not where templates ask about all clients: an
  /// answer would depend on who else has asked by then.
  private let names: [String: String]
  private var made: RandomRepository
  private let live: LocalRequests
  /// Paths of the files that actions have written and not removed.
  private var paths: Set<String> = []
  /// Broken files: what they hold, and what a new core has to find in their place.
  private var broken: [String: (text: String, lastGood: String)] = [:]
  /// The actions so far, a line for each step.
  private(set) var lines: [String] = []
  /// Paths that this step has changed: the server sees only the last of several changes.
  private var touched: Set<String> = []
  private var actions: [String] = []
  private var lastAsked = 0

  var core: NetworkCore { live.core }

  init(seed: UInt64, hasTemplates: Bool, on loop: Reactor) throws {
    var dice = Dice(seed: seed)
    let is13 = dice.chance(20)
    var settings =
      hasTemplates ? try RepositoryFixture.templateSettings("", Self.plugins) : RepositoryFixture.settings
    settings.plugins = Self.plugins + (dice.chance(50) ? ["RevisionFile"] : []) + (dice.chance(25) ? ["Clock"] : [])
    settings.compatibility = is13 ? .v1_3 : .v1_4
    made = RandomRepository(
      dice: dice, hasTemplates: hasTemplates, is13: is13, hasClock: settings.plugins.contains("Clock"))
    var files: [String: String] = [:]
    for path in made.foundation { files[path] = made.contents(of: path) }
    for _ in 0..<40 {
      let path = made.path()
      files[path] = made.contents(of: path)
    }
    paths = Set(files.keys)
    let known = RandomRepository.clients.enumerated().dropLast(2).map { ("127.0.0.\($0 + 1)", $1) }
    names = hasTemplates ? [:] : Dictionary(uniqueKeysWithValues: known)
    files[RevisionFile.file] = "0"
    fixture = try RepositoryFixture(
      files: files, names: names, settings: settings, monitor: .inotify,
      registry: Self.registry, core: NetworkCore.init(settings:loop:fileMonitor:resolver:registry:), on: loop)
    live = LocalRequests(fixture.network)
  }

  func end() { Self.end(core) }

  /// Cores that have ended a short while ago. Templates that are rendered ahead of an answer may need theirs after it.
  private static var ended: [ServerCore] = []

  private static func end(_ core: ServerCore) {
    core.shutdown()
    ended.append(core)
    if ended.count > 32 { ended.removeFirst() }
  }

  // MARK: A step

  /// Does a few random things, and compares what some clients get then.
  /// - Returns: the first difference.
  func step() async throws -> String? {
    Clock.time += 1
    touched = []
    actions = []
    for _ in 0..<(made.dice.chance(25) ? 2 + made.dice.number(3) : 1) { await act() }
    lines.append(actions.joined(separator: "; "))
    broken = broken.filter { path, versions in (try? fixture.text(path)) == versions.text }
    var questions: [Question] = []
    for _ in 0..<(1 + made.dice.number(4)) {
      // Often the same one again: its answer, or much of it, is kept.
      let client = made.dice.chance(50) ? lastAsked : made.dice.number(RandomRepository.clients.count)
      lastAsked = client
      questions.append(Question(client: client, method: "GetConfig"))
      if made.dice.chance(50) { questions.append(Question(client: client, method: "GetProbes")) }
      if made.dice.chance(10) {
        questions.append(Question(client: client, method: "GetDecisionList", parameters: [.string("whitelist")]))
      }
    }
    var kept: [[UInt8]?] = []
    for question in questions { kept.append(await ask(live, question)) }
    guard core.answerCache.heldBytes <= core.answerCache.limitBytes else { return "The cache holds more than it may" }
    fixture.log.take()
    return try await compare(questions, kept)
  }

  private struct Question {
    let client: Int
    let method: String
    var parameters: [Value] = []
  }

  private func ask(_ requests: LocalRequests, _ question: Question) async -> [UInt8]? {
    await requests.ask(question.client, question.method, question.parameters)
  }

  /// Compares with the answers of a core that reads the repository now and has no cache.
  private func compare(_ questions: [Question], _ kept: [[UInt8]?]) async throws -> String? {
    let shadow = broken.isEmpty ? nil : try copyWithLastGoodVersions()
    var settings = core.settings
    settings.answerCacheBytes = 0
    settings[ServerOptions.standard.clientMetadataCache] = .off
    if let shadow {
      settings.repository = shadow.path
      settings.configurationFile = shadow.file("bcfg2.conf")
    }
    let fresh = NetworkCore(
      settings: settings, loop: fixture.loop, fileMonitor: ComparingMonitor(), resolver: FixedResolver(names),
      registry: Self.registry)
    LogRecorder().listen(to: fresh)
    try fresh.loadPlugins()
    defer { Self.end(fresh) }
    let requests = LocalRequests(fresh)
    for (question, kept) in zip(questions, kept) {
      let new = await ask(requests, question)
      if new == kept { continue }
      var text = new.map { String(decoding: $0, as: UTF8.self) }
      if let shadow { text = text?.replacing(shadow.path, with: fixture.repository.path) }
      let old = kept.map { String(decoding: $0, as: UTF8.self) }
      if text == old { continue }
      let client = RandomRepository.clients[question.client]
      return "\(question.method) of \(client): \(Self.difference(old, text))"
    }
    return nil
  }

  /// The first line in which two answers differ.
  private static func difference(_ kept: String?, _ new: String?) -> String {
    let (old, new) = (elements(kept), elements(new))
    for (a, b) in zip(old, new) where a != b { return "kept\n  \(a)\nnew\n  \(b)" }
    return "kept \(old.count) elements, new \(new.count)"
  }

  private static func elements(_ answer: String?) -> [String] {
    guard let answer else { return ["not admitted"] }
    return answer.replacing("&lt;", with: "\n<").split(separator: "\n").map(String.init)
  }

  private func copyWithLastGoodVersions() throws -> TemporaryDirectory {
    let copy = TemporaryDirectory()
    func add(_ folder: String) throws {
      for name in fixture.repository.names(in: folder) {
        let path = folder.isEmpty ? name : "\(folder)/\(name)"
        var status = stat()
        guard lstat(fixture.repository.file(path), &status) == 0 else { continue }
        if status.st_mode & S_IFMT == S_IFDIR {
          mkdir(copy.file(path), 0o755)
          try add(path)
        } else {
          let text = try broken[path]?.lastGood ?? fixture.text(path)
          copy.write(text, to: path, mode: UInt32(status.st_mode & 0o7777))
        }
      }
    }
    try add("")
    return copy
  }

  // MARK: Actions

  private func act() async {
    switch made.dice.number(100) {
    case 0..<32: if let path = anyFile() { edit(path) }
    case 32..<48: edit(made.path())
    case 48..<56: if let path = anyFile(), isRemovable(path) { remove(path) }
    case 56..<60: if let path = anyFile(), isRemovable(path) { rename(path) }
    case 60..<62: removeFolder(made.cfgFolder())
    case 62..<66: breakFile()
    case 66..<70: if let path = made.dice.choose(broken.keys.sorted()) { edit(path) }
    case 70..<80: await send("RecvProbeData", made.probeData())
    case 80..<85: await send("DeclareVersion", made.dice.pick(RandomRepository.versions))
    case 85..<90: await send("AssertProfile", made.dice.pick(RandomRepository.profiles + ["g0", "nobody"]))
    case 90..<93: changeSettings()
    case 93..<97: commit()
    default: actions.append("nothing")
    }
  }

  /// A file that is there and that this step has left alone.
  private func anyFile() -> String? { made.dice.choose(paths.subtracting(touched).sorted()) }

  private func isRemovable(_ path: String) -> Bool {
    broken[path] == nil && !RandomRepository.permanent.contains(path) && !path.hasPrefix("Decisions/")
      && (!made.foundation.contains(path) || made.dice.chance(15))
  }

  private func edit(_ path: String) {
    // A broken file that is mended and broken in one step keeps the version before both.
    guard broken[path] == nil || !touched.contains(path) else { return }
    write(made.contents(of: path), to: path)
    broken[path] = nil
    actions.append("edit \(path)")
  }

  /// As editors do it: in place, or a new file in place of the old one.
  private func write(_ text: String, to path: String) {
    touched.insert(path)
    paths.insert(path)
    let mode: UInt32 = path.hasPrefix("Probes/") ? 0o755 : 0o644
    if made.dice.chance(50) {
      fixture.repository.write(text, to: path, mode: mode)
    } else {
      let beside = "\(Self.folder(of: path))/.new.swp"
      fixture.repository.write(text, to: beside, mode: mode)
      move(beside, path)
    }
  }

  private func move(_ old: String, _ new: String) {
    guard Glibc.rename(fixture.repository.file(old), fixture.repository.file(new)) == 0 else {
      preconditionFailure("\(old) to \(new): \(String(cString: strerror(errno)))")
    }
  }

  private func remove(_ path: String) {
    fixture.repository.remove(path)
    touched.insert(path)
    leave(path)
    actions.append("remove \(path)")
  }

  /// A file is gone. The last one of a folder of Cfg takes the folder along.
  private func leave(_ path: String) {
    paths.remove(path)
    let folder = Self.folder(of: path)
    if folder.hasPrefix("Cfg/"), !paths.contains(where: { $0.hasPrefix("\(folder)/") }) {
      fixture.repository.remove(folder)
    }
  }

  private static func folder(of path: String) -> String { path.split(separator: "/").dropLast().joined(separator: "/") }

  private func rename(_ path: String) {
    let other = made.sibling(of: path)
    guard other != path, broken[other] == nil, !touched.contains(other) else { return }
    mkdir(fixture.repository.file(Self.folder(of: other)), 0o755)
    move(path, other)
    touched.formUnion([path, other])
    paths.insert(other)
    leave(path)
    actions.append("rename \(path) to \(other)")
  }

  private func removeFolder(_ folder: String) {
    let inside = paths.filter { $0.hasPrefix("\(folder)/") }
    guard !inside.isEmpty, inside.isDisjoint(with: touched), inside.sorted().allSatisfy(isRemovable) else { return }
    for path in inside.sorted() { remove(path) }
  }

  /// Breaks a file that includes no other: its last good version would have included what the other was then.
  private func breakFile() {
    let candidates = paths.subtracting(touched).filter { $0.hasSuffix(".xml") && broken[$0] == nil }
    guard let path = made.dice.choose(candidates.sorted()), !path.hasPrefix("Includes/"),
      let text = try? fixture.text(path), !text.contains("xi:include")
    else { return }
    // A client that clients.xml lacks could not add itself.
    if path.hasSuffix("clients.xml"), !RandomRepository.clients.allSatisfy({ text.contains("'\($0)'") }) { return }
    let bad = made.broken(text)
    write(bad, to: path)
    broken[path] = (bad, text)
    actions.append("break \(path)")
  }

  /// A call of a random client that changes what the server knows of it.
  private func send(_ method: String, _ argument: String) async {
    // Nothing can be written to a clients.xml that nobody can read.
    if broken["Metadata/clients.xml"] != nil, method != "RecvProbeData" { return }
    let client = made.dice.number(RandomRepository.clients.count)
    let answer = await ask(live, Question(client: client, method: method, parameters: [.string(argument)]))
    touched.insert("Metadata/clients.xml")
    let outcome = answer.map { String(decoding: $0, as: UTF8.self).contains("<fault>") ? "fault" : "done" }
    actions.append("\(method) of \(client), \(argument): \(outcome ?? "denied")")
  }

  /// Another revision, and no other change.
  private func commit() {
    let revision = "\(made.dice.number(1000))"
    fixture.repository.write(revision, to: RevisionFile.file)
    actions.append("commit \(revision)")
  }

  private func changeSettings() {
    var settings = core.settings
    settings.pathDefaults.owner = made.dice.pick(["root", "nobody", "daemon"])
    settings.pathDefaults.mode = made.dice.pick(["0644", "0600"])
    settings[RulesOptions.standard.usesRegex] = made.dice.chance(50)
    settings[RulesOptions.standard.replacesName] = made.dice.chance(50)
    settings[DefaultsOptions.standard.replacesName] = made.dice.chance(50)
    settings[ProbesOptions.standard.allowedGroups] = made.dice.pick([[".*"], ["q0", "q1"], []])
    settings[ServerOptions.standard.clientMetadataCache] = made.dice.pick([.off, .off, .cautious, .aggressive])
    settings.answerCacheBytes = made.dice.pick([0, 4000, 20_000, 1 << 20, 32 << 20])
    core.settingsChanged(settings)
    actions.append(
      """
      settings: owner \(settings.pathDefaults.owner), mode \(settings.pathDefaults.mode), regex \
      \(settings[RulesOptions.standard.usesRegex]), names \(settings[RulesOptions.standard.replacesName]), allowed \
      \(settings[ProbesOptions.standard.allowedGroups]), metadata \
      \(settings[ServerOptions.standard.clientMetadataCache]), cache \(settings.answerCacheBytes)
      """)
  }
}

extension Dice {
  /// One of the items; nil where there is none.
  fileprivate mutating func choose<Item>(_ items: [Item]) -> Item? { items.isEmpty ? nil : pick(items) }
}
