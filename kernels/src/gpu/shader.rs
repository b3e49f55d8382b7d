//! Shader texts: one import directive, generated constants, and what the text declares.
//!
//! A shader's text is WGSL with lines `#import NAME`. Each names a [`Module`] of the shader's own
//! list; its text is put in once, at the first place that asks for it, however often it is asked for
//! (WGSL does not mind the order of declarations). An unknown name is an error. Constants that
//! Rust owns come first.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::fmt::Write as _;

use super::error::ShaderError;
use super::lint;

/// Threads of a workgroup unless a shader says otherwise; injected as `WORKGROUP_LEN`.
pub const WORKGROUP_LEN: u32 = 64;

/// What a status word holds before a kernel has written it; injected as `SENTINEL`.
pub const SENTINEL: u32 = 0xA5A5_5A5A;

/// Which integers a kernel's text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntegerForm {
    /// 64-bit integers: the adapter offers `SHADER_INT64`.
    U64,
    /// 32-bit integers alone: every adapter.
    U32,
}

impl IntegerForm {
    /// Both forms, for tests.
    pub const ALL: [Self; 2] = [Self::U64, Self::U32];
}

impl fmt::Display for IntegerForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::U64 => "u64",
            Self::U32 => "u32",
        })
    }
}

/// A piece of WGSL that `#import NAME` brings in. Its text may be a file of `shaders/` or generated.
#[derive(Clone, Debug)]
pub struct Module {
    /// Name after `#import`.
    pub name: &'static str,
    /// Its WGSL, which may itself import.
    pub text: Cow<'static, str>,
}

impl Module {
    /// A module of fixed text (`include_str!`) or of generated text (a `String`).
    pub fn new(name: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { name, text: text.into() }
    }
}

/// A shader: an entry point, its text, and what the text needs.
#[derive(Clone, Debug)]
pub struct Shader {
    name: &'static str,
    text: Cow<'static, str>,
    entry_point: &'static str,
    modules: Vec<Module>,
    constants: Vec<(&'static str, u32)>,
    workgroup_len: u32,
}

impl Shader {
    /// A shader with entry point `main`. `name` appears in errors: `KERNEL` or `KERNEL.STAGE`.
    pub fn new(name: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name,
            text: text.into(),
            entry_point: "main",
            modules: Vec::new(),
            constants: Vec::new(),
            workgroup_len: WORKGROUP_LEN,
        }
    }

    /// Names another entry point.
    #[must_use]
    pub fn entry_point(mut self, name: &'static str) -> Self {
        self.entry_point = name;
        self
    }

    /// Another `WORKGROUP_LEN`.
    #[must_use]
    pub const fn workgroup_len(mut self, threads: u32) -> Self {
        self.workgroup_len = threads;
        self
    }

    /// Adds modules that the text may import.
    #[must_use]
    pub fn modules(mut self, modules: impl IntoIterator<Item = Module>) -> Self {
        self.modules.extend(modules);
        self
    }

    /// Adds `const NAME: u32 = value;` to the text.
    #[must_use]
    pub fn constant(mut self, name: &'static str, value: u32) -> Self {
        self.constants.push((name, value));
        self
    }

    /// Plants a mistake in its text or in that of its modules, for tests that must notice.
    #[cfg(test)]
    pub(crate) fn sabotaged(mut self, right: &str, wrong: &str) -> Self {
        let texts =
            std::iter::once(&mut self.text).chain(self.modules.iter_mut().map(|module| &mut module.text));
        let mut count = 0;
        for text in texts {
            count += text.matches(right).count();
            *text = text.replacen(right, wrong, 1).into();
        }
        assert!(count > 0, "{right:?} is not in the shader");
        self
    }

    /// The shader's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The whole text: constants, then the text with its imports resolved.
    ///
    /// # Errors
    /// [`ShaderError::UnknownImport`].
    pub fn source(&self) -> Result<String, ShaderError> {
        let mut out = String::new();
        let built_in = [("WORKGROUP_LEN", self.workgroup_len), ("SENTINEL", SENTINEL)];
        for (name, value) in built_in.iter().chain(&self.constants) {
            let _ = writeln!(out, "const {name}: u32 = {value}u;");
        }
        self.resolve(&self.text, &mut HashSet::new(), &mut out)?;
        Ok(out)
    }

    fn resolve(
        &self,
        text: &str,
        seen: &mut HashSet<&'static str>,
        out: &mut String,
    ) -> Result<(), ShaderError> {
        for line in text.lines() {
            let Some(rest) = line.trim_start().strip_prefix("#import") else {
                out.push_str(line);
                out.push('\n');
                continue;
            };
            let name = rest.trim();
            let module =
                self.modules.iter().find(|module| module.name == name).ok_or_else(|| {
                    ShaderError::UnknownImport { shader: self.name, module: name.to_owned() }
                })?;
            if seen.insert(module.name) {
                self.resolve(&module.text, seen, out)?;
            }
        }
        Ok(())
    }

    /// Parses, validates and lints the text.
    ///
    /// # Errors
    /// Any [`ShaderError`].
    pub fn check(&self) -> Result<CheckedShader, ShaderError> {
        let source = self.source()?;
        let invalid = |detail| ShaderError::Invalid { shader: self.name, detail };
        let module =
            naga::front::wgsl::parse_str(&source).map_err(|error| invalid(error.emit_to_string(&source)))?;
        let capabilities = naga::valid::Capabilities::default() | naga::valid::Capabilities::SHADER_INT64;
        let info = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities)
            .validate(&module)
            .map_err(|error| invalid(error.emit_to_string(&source)))?;
        let entry = module
            .entry_points
            .iter()
            .position(|entry| entry.name == self.entry_point && entry.stage == naga::ShaderStage::Compute)
            .ok_or_else(|| invalid(format!("no compute entry point {:?}", self.entry_point)))?;
        let loop_iterations_max = lint::check(&module, &info, entry)
            .map_err(|source| ShaderError::Lint { shader: self.name, source })?;
        let [workgroup_len, 1, 1] = module.entry_points[entry].workgroup_size else {
            return Err(ShaderError::Unsupported {
                shader: self.name,
                detail: "workgroups must have one dimension".to_owned(),
            });
        };
        let bindings = self.bindings(&module)?;
        Ok(CheckedShader {
            name: self.name,
            entry_point: self.entry_point,
            source,
            workgroup_len,
            bindings,
            loop_iterations_max,
        })
    }

    /// The storage buffers of group 0, in order of their numbers, which must be 0, 1, 2, ...
    fn bindings(&self, module: &naga::Module) -> Result<Vec<BindingAccess>, ShaderError> {
        let unsupported = |detail| ShaderError::Unsupported { shader: self.name, detail };
        let mut found = Vec::new();
        for (_, variable) in module.global_variables.iter() {
            let Some(binding) = &variable.binding else { continue };
            let naga::AddressSpace::Storage { access } = variable.space else {
                return Err(unsupported(format!("{:?} is no storage buffer", variable.name)));
            };
            if binding.group != 0 {
                return Err(unsupported(format!("{:?} is not in group 0", variable.name)));
            }
            let write = access.contains(naga::StorageAccess::STORE);
            found.push((binding.binding, if write { BindingAccess::ReadWrite } else { BindingAccess::Read }));
        }
        found.sort_by_key(|(number, _)| *number);
        if !found.iter().map(|(number, _)| *number).eq(0..u32::try_from(found.len()).unwrap_or(u32::MAX)) {
            return Err(unsupported("bindings must be numbered 0, 1, 2, ...".to_owned()));
        }
        Ok(found.into_iter().map(|(_, access)| access).collect())
    }
}

/// How a shader uses a bound buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingAccess {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// A shader that parses, validates and keeps the house rules.
#[derive(Clone, Debug)]
pub struct CheckedShader {
    /// The shader's name.
    pub name: &'static str,
    /// Its entry point.
    pub entry_point: &'static str,
    /// Its whole text.
    pub source: String,
    /// Threads of a workgroup.
    pub workgroup_len: u32,
    /// Its buffers, by binding number.
    pub bindings: Vec<BindingAccess>,
    /// Most loop iterations that one invocation can make, over all its loops.
    pub loop_iterations_max: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "@compute @workgroup_size(WORKGROUP_LEN)\n\
        fn main(@builtin(global_invocation_id) id: vec3<u32>) { out[id.x] = a() + K; }\n\
        @group(0) @binding(0) var<storage, read_write> out: array<u32>;\n";

    #[test]
    fn imports_are_put_in_once_and_constants_first() {
        let shader = Shader::new("test", format!("#import b\n#import a\n{ENTRY}"))
            .modules([
                Module::new("a", "fn a() -> u32 { return 1u; }"),
                Module::new("b", "#import a\nfn b() -> u32 { return a(); }"),
            ])
            .constant("K", 7);
        let source = shader.source().unwrap();
        assert_eq!(source.matches("fn a()").count(), 1);
        assert!(source.starts_with("const WORKGROUP_LEN: u32 = 64u;\n"));
        let checked = shader.check().unwrap();
        assert_eq!(checked.workgroup_len, 64);
        assert_eq!(checked.bindings, [BindingAccess::ReadWrite]);
        assert_eq!(checked.loop_iterations_max, 0);
    }

    #[test]
    fn unknown_import_is_an_error() {
        let error = Shader::new("test", "#import nowhere").source().unwrap_err();
        assert_eq!(error, ShaderError::UnknownImport { shader: "test", module: "nowhere".to_owned() });
    }

    #[test]
    fn text_that_does_not_validate_is_an_error() {
        let error = Shader::new("test", "fn main() -> u32 { return 1.5; }").check().unwrap_err();
        assert!(matches!(error, ShaderError::Invalid { shader: "test", .. }), "{error}");
    }

    #[test]
    fn a_gap_in_the_bindings_is_an_error() {
        let text = ENTRY.replace("binding(0)", "binding(1)").replace("a() + K", "1u");
        let error = Shader::new("test", text).check().unwrap_err();
        assert!(matches!(error, ShaderError::Unsupported { .. }), "{error}");
    }
}
