// Times as numbers, for C and for messages.

nonisolated extension Duration {
  var milliseconds: Int { Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000) }
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

nonisolated extension Double {
  /// `30` or `0.25`.
  var formatted: String {
    self == rounded() && magnitude < 1e9 ? String(Int(self)) : String((self * 100).rounded() / 100)
  }
}
