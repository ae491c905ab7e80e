/// The one stylesheet.
enum Stylesheet {
  static let text = """
    :root{color-scheme:light dark;--bg:#fafaf8;--panel:#fff;--text:#1d2328;--soft:#545d66;--line:#d5d9dd;--link:#0b57a4;--focus:#b35900;
    --good:#176b35;--good-bg:#e3f4e8;--bad:#a31621;--bad-bg:#fde7e8;--mod:#7a4b00;--mod-bg:#fdf0d5;--extra:#1a5a96;--extra-bg:#e4effa;
    --stale:#5b4a8a;--stale-bg:#eeeaf8;--none-bg:#eef0f2}
    @media (prefers-color-scheme:dark){:root{--bg:#14181c;--panel:#1c2227;--text:#e4e8eb;--soft:#a5afb8;--line:#3a434b;--link:#83b9f0;
    --focus:#ffb454;--good:#7fd69a;--good-bg:#17331f;--bad:#ff9ba1;--bad-bg:#431b1f;--mod:#f2c26b;--mod-bg:#3b2c0f;--extra:#92c5f7;
    --extra-bg:#16304a;--stale:#c3b2f2;--stale-bg:#2d2547;--none-bg:#252c32}}
    *{box-sizing:border-box}
    body{margin:0;background:var(--bg);color:var(--text);font:1rem/1.5 system-ui,"Liberation Sans",sans-serif}
    a{color:var(--link);text-underline-offset:.15em}
    :focus-visible{outline:3px solid var(--focus);outline-offset:2px;border-radius:2px}
    main:focus{outline:none}
    .skip{position:absolute;left:-100vw;top:0;padding:.5rem 1rem;background:var(--panel);z-index:2}
    .skip:focus{left:0}
    .hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
    header{display:flex;flex-wrap:wrap;align-items:center;gap:.25rem 1.25rem;padding:.6rem 1.5rem;background:var(--panel);
    border-bottom:1px solid var(--line)}
    .brand{margin:0;font-weight:700;font-size:1.1rem}
    .brand a{color:inherit;text-decoration:none}
    header nav{flex:1 1 40rem}
    header input{width:9rem}
    header ul{display:flex;flex-wrap:wrap;gap:.1rem .2rem;margin:0;padding:0;list-style:none}
    header li a{display:block;padding:.3rem .5rem;border-radius:.4rem;text-decoration:none}
    header li a:hover{background:var(--none-bg)}
    header [aria-current]{background:var(--none-bg);color:var(--text);font-weight:600;box-shadow:inset 0 -2px var(--link)}
    form{display:flex;flex-wrap:wrap;align-items:center;gap:.4rem}
    input,button{font:inherit;color:inherit;background:var(--panel);border:1px solid var(--soft);border-radius:.4rem;padding:.25rem .6rem}
    input{min-width:0;max-width:100%}
    button{cursor:pointer;background:var(--none-bg)}
    button:hover{border-color:var(--link)}
    td form{margin:0}
    main{max-width:80rem;margin:0 auto;padding:1rem 1.5rem 3rem}
    h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0 1rem;overflow-wrap:anywhere}
    h2{font-size:1.15rem;margin:2rem 0 .6rem;overflow-wrap:anywhere}
    .context{margin:0 0 .75rem}
    .time{margin:0 0 1rem}
    summary{cursor:pointer;padding:.2rem 0;width:max-content;max-width:100%}
    .time form{padding:.4rem 0}
    .notice{display:flex;gap:.6rem;margin:0 0 1rem;padding:.7rem 1rem;border-radius:.5rem;border-left:.35rem solid;background:var(--mod-bg);
    color:var(--mod)}
    .notice.good{background:var(--good-bg);color:var(--good)}
    .notice.bad{background:var(--bad-bg);color:var(--bad)}
    .sign{font-weight:700;margin-right:.35em;display:inline-block;min-width:.8em}
    .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;margin:0 0 1rem;padding:0;list-style:none}
    .tiles li{border-radius:.6rem}
    .tiles a{display:block;height:100%;padding:.8rem 1rem;color:inherit;text-decoration:none;border-radius:.6rem}
    .tiles a:hover{text-decoration:underline}
    .number{display:block;font-size:2rem;font-weight:700;line-height:1.1;font-variant-numeric:tabular-nums}
    .tiles .m-none,.tiles .m-good{background:var(--panel);color:var(--text);box-shadow:inset 0 0 0 1px var(--line)}
    .m-clean,.m-good{background:var(--good-bg);color:var(--good)}
    .m-dirty,.m-bad,.m-failed{background:var(--bad-bg);color:var(--bad)}
    .m-modified{background:var(--mod-bg);color:var(--mod)}
    .m-extra{background:var(--extra-bg);color:var(--extra)}
    .m-stale,.m-expired{background:var(--stale-bg);color:var(--stale)}
    .m-unknown{background:var(--none-bg);color:var(--text)}
    .mark{padding:.1rem .5rem;border-radius:.4rem}
    .facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(12rem,45%),1fr));gap:.1rem 1.5rem;margin:0 0 1rem;padding:.8rem 1rem;
    background:var(--panel);border:1px solid var(--line);border-radius:.6rem}
    .facts div{padding:.3rem 0;min-width:0}
    dt{color:var(--soft);font-size:.85rem}
    dd{margin:0;overflow-wrap:anywhere}
    .scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.6rem;background:var(--panel)}
    table{border-collapse:collapse;width:100%}
    th,td{padding:.4rem .8rem;text-align:left;vertical-align:top;overflow-wrap:break-word}
    td:has(a),tbody th:has(a){min-width:11rem}
    td a,th a{overflow-wrap:anywhere}
    thead th{border-bottom:1px solid var(--line);white-space:nowrap;overflow-wrap:normal;font-size:.9rem}
    tbody th{font-weight:400}
    tbody tr:nth-child(even){background:color-mix(in srgb,var(--none-bg) 55%,transparent)}
    .n{text-align:right;font-variant-numeric:tabular-nums}
    .under{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:.4rem 0 0;font-size:.9rem}
    .empty{color:var(--soft);margin:0}
    .grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:.4rem;margin:0;padding:0;list-style:none}
    .grid li{border-radius:.4rem;min-width:0}
    .grid a{display:block;padding:.35rem .6rem;color:inherit;text-decoration:none;overflow-wrap:anywhere}
    .grid a:hover{text-decoration:underline}
    .choices,.pager{display:flex;flex-wrap:wrap;align-items:center;gap:.4rem;margin:0 0 1rem}
    .pager{margin:.6rem 0 0}
    .choices ul,.pager ul,.legend{display:flex;flex-wrap:wrap;gap:.3rem;margin:0;padding:0;list-style:none}
    .pager li,.choices li{padding:.15rem .2rem}
    .choices li a,.pager li a{padding:.2rem .6rem;border:1px solid var(--line);border-radius:.4rem;background:var(--panel);
    text-decoration:none;display:inline-block}
    .choices [aria-current],.pager a[aria-current]{border-color:var(--link);color:var(--text);font-weight:600;
    box-shadow:inset 0 -2px var(--link)}
    .chart{display:block;width:100%;height:auto;min-height:9rem;padding:.6rem;background:var(--panel);border:1px solid var(--line);
    border-radius:.6rem}
    .axis{fill:var(--soft);font-size:11px}
    .day{text-anchor:middle}
    .line{stroke:var(--line);fill:none}
    .hatch{stroke:var(--panel);stroke-width:2.5;fill:none}
    .fill-clean{fill:var(--good)}
    .fill-dirty{fill:var(--bad)}
    .fill-unknown{fill:var(--soft)}
    .legend{margin:.5rem 0}
    .names{margin:.6rem 0}
    .names summary{font-size:1.15rem;font-weight:700}
    .names ul{columns:14rem;margin:.4rem 0;padding-left:1.2rem}
    .names li{overflow-wrap:anywhere}
    pre{margin:0;padding:.8rem 1rem;overflow:auto;max-height:40rem;background:var(--panel);border:1px solid var(--line);border-radius:.6rem;
    font:.9rem/1.45 ui-monospace,"Liberation Mono",monospace;tab-size:4}
    .diff ins,.diff del{text-decoration:none;display:inline-block;min-width:100%}
    .diff ins{background:var(--good-bg);color:var(--good)}
    .diff del{background:var(--bad-bg);color:var(--bad)}
    .hint,.place{color:var(--stale)}
    footer{padding:1rem 1.5rem;border-top:1px solid var(--line);color:var(--soft)}
    footer p{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;max-width:80rem;margin:0 auto}
    @media (max-width:40rem){header,main,footer{padding-left:.9rem;padding-right:.9rem}header nav{flex-basis:100%}
    .tiles{grid-template-columns:repeat(2,1fr)}.number{font-size:1.6rem}td:has(a),tbody th:has(a){min-width:9rem}}
    @media print{header,footer,.choices,.time,.under,.pager,.form{display:none}}

    """
}
