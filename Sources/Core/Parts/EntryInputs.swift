import XMLRPC

/// What generators have for one entry, and how it is bound.
final class EntryInput: BuildInput {
  /// How a generator binds it; nil if none says so by its name alone.
  fileprivate(set) var binder: EntryBinder?
  /// The generators that have it.
  fileprivate(set) var generators: [String] = []
  /// When the generators were asked, and in which generation of what concerns all.
  fileprivate var resolvedAt: (clock: UInt64, generation: UInt64)?
  /// False where names share it.
  fileprivate let keepsBinder: Bool

  fileprivate init(keepsBinder: Bool) { self.keepsBinder = keepsBinder }
}

/// What generators have for entries, by tag and name: binding an entry reads its input.
///
/// A generator whose files concern readers alone says which entries a change concerns; changes of all others concern all
/// answers anyway.
public final class EntryInputs {
  /// Changes when a generator has an entry of a new name, or lost one: what `Generator.entryNames` lists.
  public let names = BuildInput()
  /// Changes with what holds for names that nobody can list: regular expressions.
  private let all = BuildInput()
  /// There are few tags: comparing is faster than hashing.
  private var tags: [(tag: String, inputs: NameTable<EntryInput>)] = []
  private var count = 0
  /// Entries have few names, but a template can make one for each client. Where there are more, all are forgotten.
  private static let limit = 65_536

  /// Records that a part is made from what generators have for an entry.
  public func read(tag: String, name: String?, _ metadata: ClientMetadata) {
    guard let recorder = metadata.recorder else { return }
    read(input(tag: tag, name: name ?? ""), recorder)
  }

  func read(_ input: EntryInput, _ recorder: PartRecorder) {
    recorder.read(all)
    recorder.read(input)
  }

  /// The input of an entry.
  func input(tag: String, name: String) -> EntryInput {
    let key = Self.key(tag, name)
    for index in tags.indices where Name.areSame(tags[index].tag, tag) {
      if let known = tags[index].inputs[key] { return known }
      if count >= Self.limit { break }
      let input = EntryInput(keepsBinder: Name.areSame(key, name))
      tags[index].inputs[key] = input
      count += 1
      return input
    }
    if count >= Self.limit || tags.count >= Self.tagLimit { changeAll() }
    let input = EntryInput(keepsBinder: Name.areSame(key, name))
    tags.append((tag, [key: input]))
    count += 1
    return input
  }

  /// Tags, at most: they come from files and templates.
  private static let tagLimit = 256

  /// Finds the binder of an entry among generators, or returns the one that was found before, if nothing has changed since.
  func resolve(
    _ input: EntryInput, tag: String, name: String, _ generators: [any Generator], generation: UInt64
  ) {
    if let known = input.resolvedAt, known.generation == generation, known.clock >= input.changedAt { return }
    input.resolvedAt = input.keepsBinder ? (BuildInput.clock, generation) : nil
    input.binder = nil
    input.generators.removeAll()
    for generator in generators {
      guard let binder = generator.binder(tag: tag, name: name) else { continue }
      input.binder = binder
      input.generators.append(generator.name)
    }
  }

  /// Records a change of what some generator has for an entry.
  public func changed(tag: String, name: String?) {
    let name = name ?? ""
    for (known, inputs) in tags where Name.areSame(known, tag) {
      guard tag == "Path" else {
        inputs[name]?.changed()
        return
      }
      // A Path has the rules of its name with and without slashes at the end.
      let trimmed = CandidateIndex.trimmed(name)
      inputs[trimmed]?.changed()
      inputs[trimmed + "/"]?.changed()
    }
  }

  /// Records a change that may concern any entry.
  public func changeAll() {
    all.changed()
    for (_, inputs) in tags { for input in inputs.values { input.changed() } }
    tags = []
    count = 0
  }

  /// The name of a Path with no more than one slash at its end.
  private static func key(_ tag: String, _ name: String) -> String {
    guard tag == "Path", name.utf8.last == UInt8(ascii: "/"), name.utf8.dropLast().last == UInt8(ascii: "/") else {
      return name
    }
    return CandidateIndex.trimmed(name) + "/"
  }
}
