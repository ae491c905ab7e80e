/// One thing that answers are made from and that changes as a whole: a file, what generators have for one entry.
///
/// Whoever makes a part of an answer with it records that (`ClientMetadata.read`), and whoever changes it says so
/// (`changed`). A part that was made before the change is made again when a client asks for it; nothing happens before.
public class BuildInput {
  /// Grows with every change of any input.
  package private(set) static var clock: UInt64 = 1
  /// The clock after the last change.
  package final private(set) var changedAt: UInt64
  /// The serial number of the recorder that recorded it last: most are read many times in a row.
  final var recordedBy: UInt64 = 0

  public init() { changedAt = Self.clock }

  nonisolated deinit {}

  /// Records a change: of what was read from a file, or that the file is gone.
  public final func changed() { changedAt = Self.tick() }

  /// Advances the clock, for a change that is recorded elsewhere, and returns its new time.
  package static func tick() -> UInt64 {
    clock += 1
    return clock
  }
}
