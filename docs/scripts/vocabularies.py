#!/usr/bin/env python3
"""Writes the built-in vocabularies of `longclip tag`: src/labels/data/everyday.tsv and scenes.tsv.

    docs/scripts/vocabularies.py [--wordnet /usr/share/wordnet]     (Debian: apt install wordnet-base)

A tag is in everyday.tsv if WordNet 3.0 has the word as a kind of its category: the words below are candidates, and a word
that WordNet has only in another meaning is dropped and printed. Scenes and qualities ("night", "black and white") are not
nouns for the most part, so for them only nouns with a category are checked. Each line is `label`, `prompt`, `group`, as in
the label files of `classify`; the group is the tag's parent, or of scenes a group of which one is chosen.
"""
import argparse
import re
from pathlib import Path

DATA = Path(__file__).parents[2] / "src/labels/data"

# Parent tag: the words of WordNet that it stands for, and candidates. `word+` has no article: it is a mass noun or a plural.
# `jean+s` is `jean` in WordNet, and `jeans` here.
EVERYDAY = {
    "person": (["person", "people", "family", "social_group"], """
        man woman child baby boy girl toddler teenager grandmother grandfather bride groom soldier policeman fireman nurse doctor chef waiter dancer singer musician guitarist drummer pianist athlete runner swimmer cyclist skier
        skateboarder surfer climber hiker fisherman farmer gardener mechanic carpenter painter teacher student pilot astronaut
        sailor cowboy clown magician king queen knight monk nun priest judge photographer tourist passenger audience family
        crowd couple team orchestra choir"""),
    "body part": (["body_part", "hair", "facial_hair"], """
        face eye nose mouth ear hand finger foot arm leg beard mustache tooth lip tongue thumb knee shoulder hair+ skull"""),
    "animal": (["animal"], """
        cat dog kitten puppy horse pony donkey cow bull calf pig piglet sheep lamb goat rabbit hamster mouse rat squirrel chipmunk
        beaver hedgehog fox wolf bear polar_bear giant_panda lion lioness tiger leopard cheetah jaguar elephant giraffe zebra
        hippopotamus rhinoceros camel llama alpaca deer moose elk reindeer antelope gazelle bison buffalo kangaroo koala
        monkey chimpanzee gorilla orangutan baboon lemur sloth raccoon skunk badger otter weasel ferret bat seal sea_lion walrus
        whale dolphin killer_whale shark ray goldfish salmon trout tuna eel seahorse jellyfish octopus squid starfish crab lobster
        shrimp snail slug oyster clam frog toad salamander newt lizard chameleon iguana gecko snake turtle tortoise crocodile
        alligator dinosaur spider scorpion ant bee wasp fly mosquito butterfly moth caterpillar dragonfly grasshopper cricket
        beetle ladybug cockroach worm tick poodle bulldog beagle dachshund dalmatian greyhound collie husky golden_retriever
        german_shepherd chihuahua pug terrier siamese_cat persian_cat bird"""),
    "bird": (["bird"], """
        eagle hawk falcon owl vulture parrot parakeet cockatoo macaw penguin ostrich emu flamingo swan goose duck duckling
        chicken hen rooster chick turkey peacock pigeon dove sparrow robin swallow crow raven magpie woodpecker hummingbird
        kingfisher heron stork crane pelican seagull puffin toucan canary finch pheasant quail"""),
    "plant": (["plant", "plant_part", "vegetation", "plant_organ", "wood", "alga"], """
        tree palm pine oak maple birch willow bamboo+ cactus fern ivy+ grass+ bush flower rose tulip daisy sunflower
        lily orchid daffodil poppy lavender+ dandelion lotus iris carnation chrysanthemum hydrangea bluebell violet water_lily
        clover leaf branch tree_trunk root bark+ seed acorn pinecone wheat+ seaweed+ bonsai vine mushroom"""),
    "mushroom": (["fungus"], "mushroom toadstool"),
    "food": (["food", "nutriment", "foodstuff", "dish", "edible_fruit", "fruit"], """
        bread+ baguette bagel croissant pretzel toast+ sandwich hamburger hotdog pizza pasta+ spaghetti+ noodle lasagna+ rice+
        sushi+ soup+ stew+ salad curry+ omelet egg fried_egg pancake waffle sausage bacon+ ham+ steak meatball roast_beef+
        taco burrito quiche pie cake birthday_cake wedding_cake cupcake muffin doughnut cookie brownie ice_cream+ sundae pudding
        chocolate+ candy+ lollipop popcorn+ french_fries+ honey+ jam+ cheese+ butter+ yogurt+ dumpling meat+ seafood+
        breakfast+ dessert cereal+ porridge+ caviar+ kebab risotto+ paella+"""),
    "fruit": (["fruit", "edible_fruit"], """
        apple orange banana lemon lime grapefruit pear peach plum cherry strawberry raspberry blueberry blackberry grape
        watermelon pineapple mango papaya kiwi coconut fig date avocado pomegranate apricot melon cranberry nectarine
        olive walnut almond peanut hazelnut chestnut"""),
    "vegetable": (["vegetable", "food", "plant"], """
        tomato potato carrot onion garlic+ cucumber pumpkin bell_pepper chili broccoli+ cauliflower+ cabbage lettuce+ spinach+
        celery+ asparagus+ eggplant zucchini pea bean corn+ radish beet turnip leek artichoke sweet_potato ginger+ okra+
        brussels_sprouts+"""),
    "drink": (["beverage", "drink", "food"], """
        coffee+ tea+ milk+ juice+ orange_juice+ water+ beer+ wine+ red_wine+ white_wine+ champagne+ whiskey+ cocktail martini
        espresso cappuccino cocoa+ lemonade+ smoothie cola+"""),
    "furniture": (["furniture", "furnishing"], """
        chair armchair rocking_chair stool bench sofa table desk coffee_table bed bunk_bed crib cradle wardrobe bookcase cabinet
        chest_of_drawers lamp floor_lamp couch hammock ottoman sideboard"""),
    "household object": (["artifact", "substance"], """
        pillow cushion blanket quilt curtain carpet rug mirror vase candle candlestick chandelier lightbulb clock alarm_clock
        wall_clock hourglass picture_frame bucket broom mop vacuum iron ironing_board sewing_machine needle thread+ button
        clothesline hanger basket box crate barrel bag paper_bag plastic_bag trash_can umbrella key lock padlock doorknob door
        window shutter stairs+ ladder fireplace radiator fan heater bathtub shower sink faucet toilet towel soap+
        toothbrush comb hairbrush hair_dryer razor perfume+ lipstick matchbox ashtray cigarette cigar
        birdcage aquarium doormat shelf drawer"""),
    "kitchenware": (["artifact", "instrumentality"], """
        plate bowl cup mug glass wineglass bottle jar pitcher jug teapot kettle coffeepot pot pan frying_pan wok knife fork spoon
        ladle spatula whisk chopstick corkscrew bottle_opener can_opener can cutting_board rolling_pin grater colander tray
        oven stove microwave refrigerator freezer toaster blender mixer dishwasher coffee_maker saucer tablecloth napkin
        apron"""),
    "clothing": (["clothing", "artifact"], """
        shirt sweater sweatshirt jacket coat raincoat vest suit tuxedo dress skirt jean+s trouser+s shorts+ pajama+s underwear+
        bra swimsuit bikini sock stocking shoe boot sandal slipper sneaker hat cap helmet crown veil scarf necktie
        bow_tie glove mitten belt uniform kimono robe gown wedding_dress cloak costume mask"""),
    "accessory": (["artifact", "instrumentality"], """
        watch ring necklace bracelet earring brooch pendant glasses+ sunglasses+ goggles+ handbag purse wallet backpack suitcase
        briefcase ribbon zipper jewelry+ tiara hairpin"""),
    "vehicle": (["vehicle", "conveyance", "craft", "artifact"], """
        car convertible limousine taxi racing_car pickup truck van bus school_bus minibus ambulance fire_engine police_car
        tractor bulldozer excavator forklift motorcycle motor_scooter bicycle tricycle unicycle scooter skateboard cart carriage
        wagon sled snowmobile train locomotive streetcar monorail airplane jet helicopter glider balloon
        airship rocket spacecraft parachute boat rowboat canoe kayak sailboat yacht motorboat ferry cruise_ship ship
        container_ship submarine raft gondola jeep tank wheelchair stroller wheel tire steering_wheel anchor"""),
    "electronics": (["artifact", "instrumentality"], """
        computer laptop keyboard mouse monitor printer scanner telephone cellular_telephone television remote_control radio
        loudspeaker headphone+s microphone camera projector calculator robot battery socket antenna
        circuit_board hard_disc joystick record_player jukebox typewriter cash_register telescope microscope binoculars+
        flashlight tripod"""),
    "tool": (["tool", "implement", "instrumentality", "artifact"], """
        hammer screwdriver wrench pliers+ saw chainsaw drill axe shovel rake hoe pitchfork wheelbarrow lawn_mower scissors+
        nail screw bolt chisel file level tape_measure paintbrush anvil rope chain hook hose crowbar pocketknife sword dagger
        spear shield bow arrow pistol rifle cannon bomb thermometer stethoscope syringe crutch scale compass
        magnifying_glass fire_extinguisher match"""),
    "stationery": (["artifact", "communication", "currency"], """
        book notebook newspaper magazine envelope letter postcard stamp pen pencil crayon marker eraser ruler stapler
        paper_clip calendar blackboard globe diary dictionary comic_book statue
        banner flag sign traffic_light street_sign billboard menu ticket passport"""),
    "musical instrument": (["musical_instrument", "device"], """
        guitar electric_guitar acoustic_guitar bass violin viola cello harp banjo ukulele mandolin piano grand_piano organ
        accordion harmonica flute clarinet oboe bassoon saxophone trumpet trombone tuba drum bagpipe xylophone
        tambourine cymbal gong bell synthesizer"""),
    "sports equipment": (["artifact", "instrumentality"], """
        ball basketball football soccer_ball baseball tennis_ball golf_ball volleyball bowling_ball baseball_bat tennis_racket
        golf_club hockey_stick puck ski snowboard surfboard ice_skate roller_skate dumbbell barbell treadmill trampoline
        boxing_glove punching_bag goal net kite frisbee dartboard fishing_rod saddle tent sleeping_bag paddle oar
        pool_table"""),
    "toy": (["artifact", "plaything"], """
        doll teddy puppet balloon puzzle jigsaw_puzzle dice+ yo-yo rocking_horse swing seesaw slide sandbox carousel
        roller_coaster kite chessboard snowman scarecrow lantern firework
        piggy_bank"""),
    "building": (["structure", "facility", "yard"], """
        house cottage cabin barn apartment_building skyscraper tower lighthouse castle palace church cathedral chapel
        mosque temple pagoda monastery synagogue school library museum hospital hotel restaurant cafe shop supermarket market
        factory warehouse office_building garage gas_station train_station airport stadium theater greenhouse shed igloo
        bridge suspension_bridge dam pier fountain monument pyramid arch gate fence wall chimney roof balcony porch staircase
        elevator escalator swimming_pool playground prison tunnel well pavilion gazebo dome steeple"""),
    "celestial body": (["celestial_body", "natural_object", "star"], "sun moon star planet comet asteroid galaxy"),
}

# Scenes and qualities: kind, and `tag = prompt` or just `tag`, which is put into "a photo of a {}".
SCENES = {
    "place": """
        beach|lake|river|stream|waterfall|sea = the sea|ocean = the ocean|coast|island|cliff|cave|canyon|mountain|
        mountain range|hill|valley|volcano|glacier|desert|sand dune|forest|rainforest|jungle|meadow|field|farm|vineyard|orchard|
        garden|park|pond|swamp|harbor|marina|village|city|skyline = a city skyline|street|alley|highway|country road|
        path = a path in the woods|railway|parking lot|construction site|campsite|cemetery|ruins = ancient ruins|
        kitchen|living room|bedroom|bathroom|dining room|office|classroom|lecture hall|hallway|basement|attic|gym|bar|
        nightclub|concert hall|cinema|church interior = the interior of a church|art gallery|laboratory|workshop|
        hospital room|hotel room|shopping mall|subway station|airport terminal|street market|amusement park|zoo|
        playing field = a sports field|tennis court|ski slope|underwater = underwater|
        outer space = outer space|countryside = the countryside|landscape|seascape|cityscape""",
    "time and weather": """
        day = a scene in bright daylight|night = a scene at night|sunrise|sunset|dusk = a scene at dusk|blue sky = a clear blue sky|
        cloudy = a cloudy sky|overcast = an overcast day|rain = rain|snow = snow|fog = fog|storm|lightning = lightning|rainbow|
        starry sky = a starry sky|full moon = the full moon|northern lights = the northern lights|frost = frost on plants|
        ice = ice|flood|fire = a fire|smoke = smoke|spring = spring blossoms|summer = a summer day|
        autumn = autumn leaves|winter = a winter landscape|shadow|reflection = a reflection in water|wave = waves|
        cloud = clouds""",
    "event": """
        wedding|birthday party|party|christmas = Christmas decorations|halloween = Halloween decorations|graduation|concert|
        festival|parade|fireworks = fireworks|carnival|dinner = people at dinner|picnic|barbecue|camping = people camping|
        hiking = people hiking|dancing = people dancing|swimming = people swimming|surfing = someone surfing|
        skiing = someone skiing|cycling = someone cycling|running = people running|football match|basketball game|
        baseball game|tennis match|horse riding = someone riding a horse|fishing = someone fishing|cooking = someone cooking|
        eating = someone eating|reading = someone reading|sleeping = someone sleeping|working = someone at work|
        shopping = people shopping|meeting|lecture|theater play|religious ceremony|protest|traffic jam""",
    "kind of image": """
        portrait|selfie|group photo|close-up|macro = a macro photo of a small thing|aerial view = an aerial view from above|
        panorama = a wide panorama|black and white = a black and white photo|sepia = an old sepia photo|
        blurry = a blurry photo|dark = a very dark, underexposed photo|overexposed = an overexposed photo|
        bokeh = a photo with a blurred background|silhouette|long exposure = a long exposure photo|fisheye = a fisheye photo|
        drawing|sketch = a pencil sketch|painting|watercolor = a watercolor painting|cartoon|comic = a page of a comic|
        clip art = clip art|icon|logo|emoji = an emoji|diagram|chart|map|screenshot = a screenshot of a computer|document|
        handwriting = handwriting|text = a page of text|receipt|poster|book cover|album cover|meme = a meme with text|
        qr code = a QR code|x-ray = an X-ray image|3d rendering|collage|still life|product photo = a product photo on white|
        food photo = a photo of a meal|old photo = an old photograph|low resolution = a low resolution photo|
        texture = a texture|pattern = a repeating pattern|abstract = an abstract image|graffiti = graffiti on a wall|mural|
        stained glass = a stained glass window|embroidery = embroidery|origami = origami|sculpture""",
    "colour": """
        red = something red|orange colour = something orange|yellow = something yellow|green = something green|
        blue = something blue|purple = something purple|pink = something pink|brown = something brown|
        white = something white|black = something black|grey = something grey|gold = something golden|
        colorful = something very colorful""",
}


def wordnet(folder):
    """Per lemma its synsets, and per synset the synsets of which it is a kind."""
    kinds, senses = {}, {}
    for line in (folder / "data.noun").read_text(encoding="latin-1").splitlines():
        if line.startswith(" "):
            continue
        fields = line.split(" ")
        at = 4 + 2 * int(fields[3], 16)
        pointers = [fields[at + 1 + 4 * i:at + 5 + 4 * i] for i in range(int(fields[at]))]
        kinds[fields[0]] = [p[1] for p in pointers if p[0] in ("@", "@i", "#p", "#m") and p[2] == "n"]
    for line in (folder / "index.noun").read_text(encoding="latin-1").splitlines():
        if not line.startswith(" "):
            fields = line.split()
            senses[fields[0]] = fields[6 + int(fields[3]):]
    return kinds, senses


def above(synset, kinds):
    seen, todo = set(), [synset]
    while todo:
        now = todo.pop()
        if now not in seen:
            seen.add(now)
            todo += kinds[now]
    return seen


def article(noun):
    return "an" if noun[0] in "aeiou" and not re.match(r"u(ni|ku)|eu|one", noun) else "a"


def everyday(folder):
    kinds, senses = wordnet(folder)
    rows, known = [], set()
    for parent, (roots, words) in EVERYDAY.items():
        wanted = {synset for root in roots for synset in senses[root]}
        for word in words.split():
            bare, _, plural = word.partition("+")
            name = (bare + plural).replace("_", " ")
            if name in known:
                continue
            if not any(wanted & above(synset, kinds) for synset in senses.get(bare, [])):
                print(f"dropped: `{name}` is not a kind of {parent} in WordNet")
                continue
            known.add(name)
            noun = name if "+" in word else f"{article(name)} {name}"
            rows.append((name, f"a photo of {noun}", parent))
    return rows


# Scenes of which an image has one, in the syntax of a vocabulary's groups.
ONE_OF = {"[light] (one of)": ["day", "night"], "[season] (one of)": ["spring", "summer", "autumn", "winter"],
          "[tone] (one of)": ["black and white", "sepia"]}


def scenes():
    rows = []
    group_of = {name: group for group, names in ONE_OF.items() for name in names}
    for words in SCENES.values():
        for word in re.split(r"\s*\|\s*", " ".join(words.split())):
            name, _, prompt = word.strip().partition(" = ")
            prompt = prompt or f"{article(name)} {name}"
            if not re.match(r"(a|an|the)( \S+)* (photo|image|photograph)\b", prompt):
                prompt = f"a photo of {prompt}"
            rows.append((name, prompt, group_of.get(name, "")))
    return rows


def write(name, what, rows):
    names = [row[0] for row in rows]
    assert len(names) == len(set(names)), [name for name in names if names.count(name) > 1]
    lines = ["\t".join(row) for row in [("label", "prompt", "group"), *rows]]
    (DATA / name).write_text("\n".join(lines) + "\n")
    print(f"{name}: {len(rows)} {what}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    folder = parser.parse_args().wordnet
    rows = everyday(folder)
    write("everyday.tsv", "everyday nouns", rows)
    known = {row[0] for row in rows}
    both = [row[0] for row in scenes() if row[0] in known]
    assert not both, f"in both: {both}"
    write("scenes.tsv", "scenes and qualities", scenes())


main()
