// What templates have of the data of connectors: see `TemplateReadable`.

extension ProbeDataSet: TemplateReadable {
  public var templateForm: TemplateValue {
    [
      "form": "probes", "timestamp": .text(timestamp),
      "texts": .record(templateKeys.map { .init($0, .text(probes[$0]?.text ?? "")) }),
    ]
  }
  public func templateItem(_ name: String) -> TemplateValue? {
    name == "\0timestamp" ? .text(timestamp) : probes[name].map { .text($0.text) }
  }
  public var templateKeys: [String] { probes.keys.sorted() }
}

extension OhaiData: TemplateReadable {
  public var templateForm: TemplateValue { ["form": "json", "text": .text(text)] }
}

extension PuppetENCData: TemplateReadable {
  public var templateForm: TemplateValue {
    ["form": "value", "value": JSONValue.object(parameters).templateValue]
  }
}

extension SSHbaseData: TemplateReadable {
  public var templateForm: TemplateValue {
    [
      "form": "value",
      "value": .record(
        publicKeys.sorted { $0.key < $1.key }.map {
          .init($0.key, .text(String(decoding: $0.value, as: UTF8.self)))
        }),
    ]
  }
}

extension PropertiesData: TemplateFileData {
  public var templateForm: TemplateValue { ["form": "properties", "names": .texts(templateKeys)] }
  public func templateItem(_ name: String) -> TemplateValue? {
    sources[name].map { [.int($0.version), .bool($0.isMatched)] }
  }
  public var templateKeys: [String] { sources.keys.sorted() }
  public func templateFile(_ name: String) -> TemplateFile? { sources[name] }
}
