/// Ids of rows, by what is in them: at most `limit`, the least recently used go first.
///
/// Two halves: what is used is in the young one; when that is full it becomes the old one, and the old one goes.
struct IDCache<Key: Hashable & Sendable> {
  private let half: Int
  private var young: [Key: Int64] = [:]
  private var old: [Key: Int64] = [:]

  init(limit: Int) { half = max(1, limit / 2) }

  var count: Int { young.count + old.count }

  /// How many ids are certainly there after so many were looked up or set.
  var safeCount: Int { half }

  subscript(key: Key) -> Int64? {
    mutating get {
      if let id = young[key] { return id }
      guard let id = old.removeValue(forKey: key) else { return nil }
      insert(id, for: key)
      return id
    }
    set {
      old[key] = nil
      if let newValue { insert(newValue, for: key) } else { young[key] = nil }
    }
  }

  mutating func removeAll() {
    young = [:]
    old = [:]
  }

  private mutating func insert(_ id: Int64, for key: Key) {
    young[key] = id
    if young.count > half {
      old = young
      young = [:]
    }
  }
}
