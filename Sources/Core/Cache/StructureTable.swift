import Repository
import XMLRPC

/// The structures of cached answers by their bytes, with the number of answers that hold each.
struct StructureTable {
  private struct Entry {
    let bytes: Int
    var holders: Int
  }

  private var byHash: [UInt64: [SharedSegments]] = [:]
  private var entries: [ObjectIdentifier: Entry] = [:]

  var count: Int { entries.count }

  func find(_ draft: borrowing StructureDraft) -> SharedSegments? {
    guard let known = byHash[draft.hash] else { return nil }
    for shared in known where draft.isEqual(to: shared) { return shared }
    return nil
  }

  /// Returns the bytes newly held.
  mutating func hold(_ shared: SharedSegments) -> Int {
    let key = ObjectIdentifier(shared)
    if entries[key] != nil {
      entries[key]?.holders += 1
      return 0
    }
    // An array's header and a reference for each segment.
    let bytes = shared.ownBytes + 40 * shared.segments.count
    entries[key] = Entry(bytes: bytes, holders: 1)
    byHash[shared.hash, default: []].append(shared)
    return bytes
  }

  /// Returns the bytes no longer held.
  mutating func release(_ shared: SharedSegments) -> Int {
    let key = ObjectIdentifier(shared)
    guard let entry = entries[key] else { return 0 }
    if entry.holders > 1 {
      entries[key]?.holders -= 1
      return 0
    }
    entries[key] = nil
    byHash[shared.hash]?.removeAll { $0 === shared }
    if byHash[shared.hash]?.isEmpty == true { byHash[shared.hash] = nil }
    return entry.bytes
  }
}
