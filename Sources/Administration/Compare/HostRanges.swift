/// Names of hosts in few words: `foo1.example.com` to `foo3.example.com` are `foo[1-3].example.com`.
///
/// Source of the form: Bcfg2/bcfg2: src/lib/Bcfg2/Utils.py, `hostnames2ranges`, which drops names that are not of this form.
public nonisolated enum HostRanges {
  /// Ranges in the order of their first names, then the names that are in none.
  public static func texts(_ names: [String]) -> [String] {
    struct Key: Hashable {
      let before: String
      let after: String
    }
    var order: [Key] = []
    var numbers: [Key: [(value: Int, text: String)]] = [:]
    var others: [String] = []
    for name in names {
      guard let match = name.wholeMatch(of: /([^.]*?[^0-9.])([0-9]{1,9})(\..*)?/), let value = Int(match.2)
      else {
        others.append(name)
        continue
      }
      let key = Key(before: String(match.1), after: String(match.3 ?? ""))
      if numbers[key] == nil { order.append(key) }
      numbers[key, default: []].append((value, String(match.2)))
    }
    return order.map { key in
      let list = (numbers[key] ?? []).sorted { ($0.value, $0.text.count) < ($1.value, $1.text.count) }
      guard list.count > 1 else { return key.before + (list.first?.text ?? "") + key.after }
      return "\(key.before)[\(ranges(list))]\(key.after)"
    } + others
  }

  /// Numbers with a leading zero are in a range only with numbers of as many digits.
  private static func ranges(_ numbers: [(value: Int, text: String)]) -> String {
    var parts: [(first: String, last: String, value: Int)] = []
    for (value, text) in numbers {
      if let last = parts.last, last.value == value, last.last == text { continue }
      let hasZero = text.hasPrefix("0") || parts.last?.first.hasPrefix("0") ?? false
      if let last = parts.last, last.value + 1 == value, !hasZero || last.last.count == text.count {
        parts[parts.count - 1] = (last.first, text, value)
      } else {
        parts.append((text, text, value))
      }
    }
    return parts.map { $0.first == $0.last ? $0.first : "\($0.first)-\($0.last)" }.joined(separator: ",")
  }
}
