//! A checked graph that owns its weights: nodes in the order in which they run, and the constants they read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use super::array::{Data, External, OnnxArray};
use super::proto;

/// What is run.
#[derive(Debug)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    /// Weights and the values of Constant nodes, by name.
    pub constants: HashMap<String, Rc<OnnxArray>>,
    pub input: Input,
    /// The value that the logits are, where it is a classifier: the first output.
    pub logits: String,
    /// The values that it gives.
    pub outputs: Vec<String>,
    /// Version of the standard operators.
    pub opset: i64,
    pub metadata: Vec<(String, String)>,
}

/// The images: (N, C, H, W), with `None` where the export left a size open.
#[derive(Debug)]
pub(super) struct Input {
    pub name: String,
    pub dims: [Option<usize>; 4],
}

/// One operator with its settings.
#[derive(Debug)]
pub(super) struct Node {
    /// Its name, or that of its output where it has none of its own.
    pub label: String,
    pub op: String,
    /// Empty where an optional input is left out.
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    attributes: BTreeMap<String, Attribute>,
}

#[derive(Debug)]
enum Attribute {
    Float(f32),
    Int(i64),
    Text(String),
    Array(Rc<OnnxArray>),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
}

type Checked<T> = Result<T, String>;

impl Graph {
    /// Checks the model, and reads its weights wherever they lie.
    pub fn new(model: proto::Model<'_>, external: &External<'_>) -> Checked<Self> {
        let opset = model.opsets.iter().find(|(domain, _)| is_standard(domain)).map(|(_, version)| *version);
        let opset = opset.ok_or("the file does not say which version of the operators it uses")?;
        let graph = model.graph.ok_or("the file has no graph")?;
        let mut constants = HashMap::new();
        for tensor in &graph.initializers {
            let name = tensor.name.clone();
            let array = OnnxArray::read(tensor, external).map_err(|e| format!("weight \"{name}\": {e}"))?;
            if let Data::Float(values) = &array.data
                && let Some(at) = values.iter().position(|v| !v.is_finite())
            {
                return Err(format!(
                    "weight \"{name}\" holds {} at index {at}; expected finite weights",
                    values[at]
                ));
            }
            if constants.insert(name.clone(), Rc::new(array)).is_some() {
                return Err(format!("there are two weights \"{name}\""));
            }
        }
        let input = Input::new(&graph.inputs, &constants)?;
        let labels = labels(&graph.nodes);
        let mut nodes = Vec::new();
        for (node, label) in graph.nodes.into_iter().zip(labels) {
            let node = Node::new(node, label, external)?;
            match node.op.as_str() {
                "Constant" => {
                    let value = node.constant()?;
                    let name = node
                        .outputs
                        .first()
                        .ok_or_else(|| format!("Constant {} has no output", node.label))?;
                    constants.insert(name.clone(), value);
                }
                _ => nodes.push(node),
            }
        }
        let outputs: Vec<String> = graph.outputs.into_iter().map(|output| output.name).collect();
        let logits = outputs.first().ok_or("the graph has no output")?.clone();
        let graph = Self { nodes, constants, input, logits, outputs, opset, metadata: model.metadata };
        graph.check_order()?;
        Ok(graph.without_softmax())
    }

    /// Each node reads only what is there before it, and nothing is made twice.
    fn check_order(&self) -> Checked<()> {
        let mut known: HashSet<&str> = self.constants.keys().map(String::as_str).collect();
        known.insert(&self.input.name);
        for node in &self.nodes {
            if let Some(name) =
                node.inputs.iter().find(|name| !name.is_empty() && !known.contains(name.as_str()))
            {
                return Err(format!("{} reads \"{name}\", which no node before it makes", node.describe()));
            }
            for name in node.outputs.iter().filter(|name| !name.is_empty()) {
                if !known.insert(name) {
                    return Err(format!("\"{name}\" is made twice, the second time by {}", node.describe()));
                }
            }
        }
        match known.contains(self.logits.as_str()) {
            true => Ok(()),
            false => Err(format!("no node makes the output \"{}\"", self.logits)),
        }
    }

    /// Distillation starts from logits, so a softmax at the very end is left out.
    fn without_softmax(mut self) -> Self {
        let last = self
            .nodes
            .iter()
            .position(|node| node.op == "Softmax" && node.outputs.first() == Some(&self.logits));
        if let Some(at) = last
            && let Some(name) = self.nodes[at].inputs.first().cloned()
        {
            self.nodes.remove(at);
            self.logits = name;
        }
        self
    }
}

impl Input {
    fn new(inputs: &[proto::ValueInfo], constants: &HashMap<String, Rc<OnnxArray>>) -> Checked<Self> {
        // Old exporters list the weights among the inputs.
        let open: Vec<_> = inputs.iter().filter(|input| !constants.contains_key(&input.name)).collect();
        let [input] = open[..] else {
            let names: Vec<&str> = open.iter().map(|input| input.name.as_str()).collect();
            return Err(format!(
                "expected one input, the images, found {}: {}",
                names.len(),
                names.join(", ")
            ));
        };
        let size = |dim: &Option<i64>| dim.and_then(|d| usize::try_from(d).ok());
        let dims: Vec<Option<usize>> = input.dims.iter().map(size).collect();
        let dims = dims.try_into().map_err(|_| {
            format!(
                "expected images (N, C, H, W), but the input \"{}\" has {} dimensions",
                input.name,
                input.dims.len()
            )
        })?;
        Ok(Self { name: input.name.clone(), dims })
    }
}

impl Node {
    fn new(node: proto::Node<'_>, label: String, external: &External<'_>) -> Checked<Self> {
        let mut attributes = BTreeMap::new();
        for attribute in node.attributes {
            let name = attribute.name.clone();
            let value = Attribute::new(attribute, external)
                .map_err(|e| format!("attribute {name} of {label}: {e}"))?;
            attributes.extend(value.map(|value| (name, value)));
        }
        let op = if is_standard(&node.domain) { node.op } else { format!("{}::{}", node.domain, node.op) };
        Ok(Self { label, op, inputs: node.inputs, outputs: node.outputs, attributes })
    }

    /// For messages.
    pub fn describe(&self) -> String {
        format!("{} node \"{}\"", self.op, self.label)
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        match self.attributes.get(name) {
            Some(Attribute::Int(n)) => *n,
            _ => default,
        }
    }

    pub fn float(&self, name: &str) -> Option<f32> {
        match self.attributes.get(name) {
            Some(Attribute::Float(x)) => Some(*x),
            _ => None,
        }
    }

    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attributes.get(name) {
            Some(Attribute::Ints(list)) => Some(list),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Attribute::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn array(&self, name: &str) -> Option<&OnnxArray> {
        match self.attributes.get(name) {
            Some(Attribute::Array(array)) => Some(array),
            _ => None,
        }
    }

    /// What a Constant node stands for.
    fn constant(&self) -> Checked<Rc<OnnxArray>> {
        let value = self.attributes.values().next();
        Ok(match value {
            Some(Attribute::Array(array)) => array.clone(),
            Some(Attribute::Float(x)) => Rc::new(OnnxArray::scalar(Data::Float(vec![*x]))),
            Some(Attribute::Int(n)) => Rc::new(OnnxArray::scalar(Data::Int(vec![*n]))),
            Some(Attribute::Floats(list)) => Rc::new(OnnxArray::floats(list.clone())),
            Some(Attribute::Ints(list)) => Rc::new(OnnxArray::ints(list.clone())),
            Some(Attribute::Text(_)) | None => {
                return Err(format!("{}: expected a tensor or numbers, found neither", self.describe()));
            }
        })
    }
}

impl Attribute {
    /// `None` for kinds that no supported operator has, such as subgraphs.
    fn new(attribute: proto::Attribute<'_>, external: &External<'_>) -> Checked<Option<Self>> {
        let list = !attribute.floats.is_empty();
        Ok(match attribute {
            proto::Attribute { tensor: Some(tensor), .. } => {
                Some(Self::Array(Rc::new(OnnxArray::read(&tensor, external)?)))
            }
            proto::Attribute { text: Some(text), .. } => Some(Self::Text(text)),
            proto::Attribute { float: Some(x), .. } => Some(Self::Float(x)),
            proto::Attribute { int: Some(n), .. } => Some(Self::Int(n)),
            proto::Attribute { floats, .. } if list => Some(Self::Floats(floats)),
            proto::Attribute { ints, .. } => Some(Self::Ints(ints)),
        })
    }
}

fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// A name for each node: its own where no other has it, or that of its first output.
fn labels(nodes: &[proto::Node<'_>]) -> Vec<String> {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    nodes.iter().for_each(|node| *uses.entry(&node.name).or_default() += 1);
    let label = |node: &proto::Node<'_>| match node.name.as_str() {
        "" => node.outputs.first().cloned().unwrap_or_default(),
        name if uses[name] > 1 => node.outputs.first().cloned().unwrap_or_default(),
        name => name.to_string(),
    };
    nodes.iter().map(label).collect()
}
