import DequeModule

/// Decides which TLS handshakes advance in an iteration of the loop, and which wait.
///
/// A handshake costs up to a millisecond, so that a storm of a thousand would stop everybody else for a second. Each
/// iteration has a share for addresses that have been served before, and one of half its size for strangers, among whom a
/// handshake that has begun goes before a new one. Where many wait they are not watched meanwhile: the kernel would report
/// each of them in each iteration. For a few, that costs less than two changes of interest each.
struct HandshakeTurns {
  /// How many may wait and be watched all the same.
  private static let watchedLimit = 64
  /// Handshakes of known addresses, and of strangers, that advance in one iteration.
  private var knownLimit: Int
  private var limit: Int
  private var knownTaken = 0
  private var othersTaken = 0
  private var known: Deque<Connection> = []
  private var begun: Deque<Connection> = []
  private var new: Deque<Connection> = []

  /// - Parameter limit: handshakes of strangers that advance in one iteration.
  init(_ limit: Int) {
    self.limit = limit
    knownLimit = 2 * limit
  }

  /// Changes the limit.
  mutating func setLimit(_ limit: Int) {
    self.limit = limit
    knownLimit = 2 * limit
  }

  /// Whether a connection waits, which may have been closed meanwhile.
  var isAnyWaiting: Bool { !known.isEmpty || !begun.isEmpty || !new.isEmpty }

  /// Whether so few wait that they may stay watched.
  var areFewWaiting: Bool { known.count + begun.count + new.count <= Self.watchedLimit }

  /// Claims a turn for a connection that is ready. If none is left, false; ``next()`` will return the connection.
  mutating func claim(_ connection: Connection, isKnown: Bool) -> Bool {
    guard var handshake = connection.handshake, !handshake.isWaiting else { return false }
    handshake.takesKnownTurn = isKnown
    let isFree: Bool
    if isKnown {
      isFree = knownTaken < knownLimit && known.isEmpty
    } else {
      isFree = othersTaken < limit && begun.isEmpty && (handshake.hasBegun || new.isEmpty)
    }
    handshake.isWaiting = !isFree
    connection.handshake = handshake
    if isFree {
      count(handshake, 1)
      return true
    }
    if isKnown {
      known.append(connection)
    } else if handshake.hasBegun {
      begun.append(connection)
    } else {
      new.append(connection)
    }
    return false
  }

  /// Releases a turn that cost nothing, for the next.
  mutating func release(_ handshake: Handshake) { count(handshake, -1) }

  /// The next waiting connection that may advance in this iteration.
  mutating func next() -> Connection? {
    var found: Connection?
    if knownTaken < knownLimit { found = Self.first(of: &known) }
    if found == nil, othersTaken < limit { found = Self.first(of: &begun) ?? Self.first(of: &new) }
    guard let found, var handshake = found.handshake else { return nil }
    handshake.isWaiting = false
    found.handshake = handshake
    count(handshake, 1)
    return found
  }

  /// Restores all turns, at the end of an iteration.
  mutating func endTurn() {
    knownTaken = 0
    othersTaken = 0
  }

  private mutating func count(_ handshake: Handshake, _ number: Int) {
    if handshake.takesKnownTurn { knownTaken += number } else { othersTaken += number }
  }

  /// Removes and returns the first that has not been closed while it waited.
  private static func first(of waiting: inout Deque<Connection>) -> Connection? {
    while let connection = waiting.popFirst() {
      if connection.handshake?.isWaiting == true { return connection }
    }
    return nil
  }
}
