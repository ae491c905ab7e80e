public import Repository
public import ServerSettings

/// The attributes that `[mdata]` gives to Path entries which have no info.xml, or one that does not name them.
extension Settings.PathDefaults {
  /// The attributes in the order in which Bcfg2 names them.
  public var attributes: [(name: String, value: String)] {
    [
      ("owner", owner), ("group", group), ("mode", mode), ("secontext", secontext), ("important", important),
      ("paranoid", paranoid), ("sensitive", sensitive),
    ]
  }

  /// Sets every attribute on an entry, over what is there, as Bcfg2 does before it binds an info.xml.
  public func apply(to entry: Element) {
    // Room for these, and for what an info.xml and the entry's own plugin add.
    entry.attributes.reserveCapacity(entry.attributes.count + 9)
    entry["owner"] = owner
    entry["group"] = group
    entry["mode"] = mode
    entry["secontext"] = secontext
    entry["important"] = important
    entry["paranoid"] = paranoid
    entry["sensitive"] = sensitive
  }
}
