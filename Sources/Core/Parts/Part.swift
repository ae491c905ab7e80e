import XMLRPC

/// Which parts can stand for each other where their questions have the same answers.
nonisolated enum PartKey: Hashable {
  /// A structure that a plugin makes by name.
  case structure(ObjectIdentifier, Name)
  /// Structures that a plugin adds, by what it noted of the others.
  case added(ObjectIdentifier, [StructureNote])
  /// All structures of a configuration, where plugins look at all of them together.
  case configuration
  /// The probes of a client.
  case probes

  var kind: Part.Kind {
    switch self {
    case .structure, .added: .structures
    case .configuration: .configurations
    case .probes: .probes
    }
  }
}

/// A finished part of an answer: bound, sorted and written structures, with what they were made from.
///
/// It stands for every client whose answers to its questions are the same, as long as none of its inputs changes.
package final class Part {
  /// By which parts are counted.
  package nonisolated enum Kind: String, CaseIterable, Sendable {
    case structures, configurations, probes
  }

  /// A structure as it goes on the wire.
  struct Structure {
    /// By which structures are sorted; nil: before all others.
    let name: Name?
    let segments: SharedSegments
  }

  /// An entry with `altsrc`: those of one tag and name must agree on it.
  struct Alternative {
    let tag: Name
    let name: Name?
    let source: String
  }

  let key: PartKey
  let structures: [Structure]
  /// Names of structures that the client needs beside it.
  let required: [Name]
  /// Names of the bundles that it holds.
  let bundles: [Name]
  let alternatives: [Alternative]
  /// What each plugin that adds structures noted of its own, by the plugin's place among them.
  let notes: [[StructureNote]]
  private let inputs: [BuildInput]
  private let madeAt: UInt64
  /// The clock of inputs when they were compared last.
  private var checkedAt: UInt64
  private var isOutdated = false

  /// Where the table has it; nil once it was dropped.
  unowned(unsafe) var place: PartTable.Node?
  /// How many kept answers hold it.
  var holders = 0
  /// When it was used last, as the cache counts.
  var usedAt: UInt64 = 0
  // The cache's list of parts that no answer holds; the table owns them.
  unowned(unsafe) var newer: Part?
  unowned(unsafe) var older: Part?
  var isListed = false

  init(
    _ key: PartKey, _ structures: [Structure], required: [Name] = [], bundles: [Name] = [],
    alternatives: [Alternative] = [], notes: [[StructureNote]] = [], madeWith recorder: PartRecorder
  ) {
    self.key = key
    self.structures = structures
    self.required = required
    self.bundles = bundles
    self.alternatives = alternatives
    self.notes = notes
    inputs = recorder.inputs
    renderings = recorder.renderings
    madeAt = recorder.madeAt
    checkedAt = recorder.madeAt
  }

  nonisolated deinit {}

  /// Whether nothing has changed that it was made from.
  var isCurrent: Bool {
    if checkedAt == BuildInput.clock { return !isOutdated }
    checkedAt = BuildInput.clock
    if !isOutdated { isOutdated = inputs.contains { $0.changedAt > madeAt } }
    return !isOutdated
  }

  /// Whether the cache counts its structures.
  var isHeld = false
  /// Bytes that the cache counts for it beside its structures.
  var keptBytes = 0

  /// Results of templates that it was made with; nil once they may be gone.
  var renderings: Set<ObjectIdentifier>?
  /// Bytes of contents that the cache counts because nobody else holds them.
  var contentBytes = 0

  /// Bytes that it costs beside its structures and its questions: measured, rounded up.
  var ownBytes: Int {
    320 + 8 * inputs.count + structures.count * 48 + required.count * 16 + 96 * (renderings?.count ?? 0)
  }
}
