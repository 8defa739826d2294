"""Train a small ViT of timm on label maps, as a teacher where no published weights can be fetched.

Each token predicts the classes of its patch's pixels. What is saved is the ViT alone, in timm's names, for
`convnext-dense distill --teacher-weights`.
"""

import argparse
import random
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

# A pixel of no class.
IGNORED = 255
LEARNING_RATE = 1e-3


def read_samples(folder: Path) -> list[tuple[tv_tensors.Image, tv_tensors.Mask]]:
    """Return the images and label maps of a training split in ADE20K's layout, whose label 0 is ignored."""
    samples = []
    for file in sorted((folder / 'images' / 'training').glob('*.jpg')):
        labels = decode_image(str(folder / 'annotations' / 'training' / f'{file.stem}.png'), ImageReadMode.GRAY)
        # 0 wraps to 255.
        samples.append((tv_tensors.Image(decode_image(str(file), ImageReadMode.RGB)), tv_tensors.Mask(labels - 1)))
    return samples


class LabelTeacher(nn.Module):
    """A ViT whose tokens predict their patches' pixels.

    Args:
        name: timm's name of the ViT.
        size: The height and width of images in pixels.
        classes: The number of classes.
    """

    def __init__(self, name: str, size: int, classes: int) -> None:
        super().__init__()
        self.vit = timm.create_model(name, img_size=size, num_classes=0)
        self.patch = self.vit.feature_info[-1]['reduction']
        self.head = nn.Linear(self.vit.num_features, classes * self.patch**2)
        config = self.vit.pretrained_cfg
        self.normalize = v2.Normalize(config['mean'], config['std'])

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes, H, W) of images (N, 3, H, W) from 0 to 1."""
        tokens = self.vit.forward_features(self.normalize(images))[:, self.vit.num_prefix_tokens :]
        maps = self.head(tokens).transpose(1, 2).unflatten(2, [side // self.patch for side in images.shape[-2:]])
        return F.pixel_shuffle(maps, self.patch)


def train_teacher(
    model: LabelTeacher, samples: list[tuple[tv_tensors.Image, tv_tensors.Mask]], size: int, steps: int, batch: int
) -> None:
    """Train on random views, and print the loss and the accuracy of pixels now and then."""
    view = v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=(0.25, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.4, 0.4, 0.2),
            v2.ToDtype({tv_tensors.Image: torch.float32, 'others': None}, scale=True),
        ]
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps)
    for step in range(steps):
        views = [view(*sample) for sample in random.sample(samples, batch)]
        images, labels = (torch.stack([part[i] for part in views]) for i in range(2))
        labels = labels.squeeze(1).long()
        logits = model(images)
        loss = F.cross_entropy(logits, labels, ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == steps - 1:
            right = (logits.argmax(1) == labels)[labels != IGNORED].float().mean()
            print(f'step {step}: loss {loss.item():.3f}, pixel accuracy {right.item():.3f}', flush=True)


def main() -> None:
    """Train, and save the teacher."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path, help="a dataset in ADE20K's layout")
    parser.add_argument('out', type=Path, help='the file of weights')
    parser.add_argument('--model', default='test_vit', help="timm's name of the ViT")
    parser.add_argument('--classes', type=int, default=2)
    parser.add_argument('--size', type=int, default=256, help='height and width of the views in pixels')
    parser.add_argument('--steps', type=int, default=800)
    parser.add_argument('--batch', type=int, default=8)
    args = parser.parse_args()
    random.seed(0)
    torch.manual_seed(0)
    model = LabelTeacher(args.model, args.size, args.classes)
    train_teacher(model, read_samples(args.data), args.size, args.steps, args.batch)
    torch.save(model.vit.state_dict(), args.out)


if __name__ == '__main__':
    main()
