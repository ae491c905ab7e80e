import XMLRPC

/// What generators have for entries, by tag and name: binding an entry reads its input.
///
/// A generator whose files concern readers alone says which entries a change concerns; changes of all others concern all
/// answers anyway.
public final class EntryInputs {
  /// Changes when a generator has an entry of a new name, or lost one: what `Generator.entryNames` lists.
  public let names = BuildInput()
  /// Changes with what holds for names that nobody can list: regular expressions.
  private let all = BuildInput()
  private var inputs: NameTable<NameTable<BuildInput>> = [:]
  private var count = 0
  /// Entries have few names, but a template can make one for each client. Where there are more, all are forgotten.
  private static let limit = 65_536

  /// Records that a part is made from what generators have for an entry.
  public func read(tag: String, name: String?, _ metadata: ClientMetadata) {
    guard let recorder = metadata.recorder else { return }
    recorder.read(all)
    recorder.read(input(tag: tag, name: name ?? ""))
  }

  private func input(tag: String, name: String) -> BuildInput {
    let name = Self.key(tag, name)
    if let known = inputs[tag]?[name] { return known }
    if count >= Self.limit { changeAll() }
    let input = BuildInput()
    inputs[tag, default: [:]][name] = input
    count += 1
    return input
  }

  /// Records a change of what some generator has for an entry.
  public func changed(tag: String, name: String?) { inputs[tag]?[Self.key(tag, name ?? "")]?.changed() }

  /// Records a change that may concern any entry.
  public func changeAll() {
    all.changed()
    inputs = [:]
    count = 0
  }

  /// A Path has the rules of its name without slashes at the end.
  private static func key(_ tag: String, _ name: String) -> String {
    tag == "Path" ? CandidateIndex.trimmed(name) : name
  }
}
